variable "project_id" {
  description = "Project of the topic, the dataset and the tables."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project: 6 to 30 lowercase letters, digits and hyphens."
  }
}

variable "location" {
  description = "BigQuery location of the dataset, as in DAYBOOK_BIGQUERY_LOCATION. Cannot be changed later."
  type        = string
  default     = "US"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]+$", var.location))
    error_message = "location must be a BigQuery location, e.g. US, EU or europe-north1."
  }
}

variable "storage_regions" {
  description = "Regions in which Pub/Sub may keep messages. Default: those of the location, where it is EU or one region; any where it is US."
  type        = list(string)
  default     = null

  validation {
    condition     = var.storage_regions == null || alltrue([for region in coalesce(var.storage_regions, []) : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "storage_regions must be regions of Google Cloud, e.g. europe-north1."
  }
}

variable "dataset_id" {
  description = "Dataset; the part of BIGQUERY_TABLE_NAME before the dot."
  type        = string
  default     = "daybook"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.dataset_id))
    error_message = "dataset_id must be letters, digits and underscores."
  }
}

variable "table_id" {
  description = "Table of events; the part of BIGQUERY_TABLE_NAME after the dot. The views take their names from it."
  type        = string
  default     = "events"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]{1,200}$", var.table_id))
    error_message = "table_id must be letters, digits and underscores."
  }
}

variable "topic" {
  description = "Topic, as in PUBSUB_TOPIC. The dead-letter topic and the subscriptions take their names from it."
  type        = string
  default     = "analytics"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_.~+%-]{2,200}$", var.topic)) && !startswith(lower(var.topic), "goog")
    error_message = "topic must start with a letter, have 3 to 201 of the characters Pub/Sub allows, and not start with goog."
  }
}

variable "timezone" {
  description = "Reporting timezone, as in DAYBOOK_TIMEZONE: where a day begins. A change makes events_user_days anew."
  type        = string
  default     = "UTC"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_+/-]*$", var.timezone))
    error_message = "timezone must be an IANA name, e.g. Europe/Helsinki."
  }
}

variable "api_members" {
  description = "IAM members that run the API: they publish, query and read. Usually one Kubernetes service account's principal; see kubernetes_service_account."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.api_members : can(regex("^(principal|principalSet)://|^(serviceAccount|user|group):", member))])
    error_message = "api_members must be IAM members: principal://…, principalSet://…, serviceAccount:…, user:… or group:…."
  }
}

variable "kubernetes_service_account" {
  description = "Kubernetes service account that runs the API; its principal in Workload Identity Federation for GKE gets the API's roles. cluster_project_id is by default project_id."
  type = object({
    namespace          = string
    name               = string
    cluster_project_id = optional(string)
  })
  default = null
}

variable "daily_minutes" {
  description = "How often the scheduled query makes the table of days anew, in minutes, as in DAYBOOK_BIGQUERY_DAILY_MINUTES. null: never, and each report reads the views."
  type        = number
  default     = 15

  validation {
    condition     = var.daily_minutes == null || try(var.daily_minutes >= 5 && var.daily_minutes <= 1440 && floor(var.daily_minutes) == var.daily_minutes, false)
    error_message = "daily_minutes must be a whole number from 5 to 1440, or null."
  }
}

variable "max_delivery_attempts" {
  description = "Attempts to write a message into BigQuery before it becomes a dead letter."
  type        = number
  default     = 100

  validation {
    condition     = var.max_delivery_attempts >= 5 && var.max_delivery_attempts <= 100 && floor(var.max_delivery_attempts) == var.max_delivery_attempts
    error_message = "max_delivery_attempts must be a whole number from 5 to 100."
  }
}

variable "message_retention_seconds" {
  description = "How long a message that cannot be delivered is kept: 10 minutes to 31 days."
  type        = number
  default     = 604800

  validation {
    condition     = var.message_retention_seconds >= 600 && var.message_retention_seconds <= 2678400
    error_message = "message_retention_seconds must be from 600 to 2678400."
  }
}

variable "deletion_protection" {
  description = "Refuse to destroy the tables that hold events and dead letters."
  type        = bool
  default     = true
}

variable "enable_apis" {
  description = "Enable the APIs that this module needs."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of everything that can have them."
  type        = map(string)
  default     = {}
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that alerts and the budget are told through, projects/PROJECT/notificationChannels/ID. None: no alerts."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "notification_channels must be names of channels, e.g. projects/example-project/notificationChannels/123."
  }
}

variable "budget" {
  description = "Budget of the project a month, in whole units of the billing account's currency. Needs the Cloud Billing Budget API."
  type = object({
    billing_account = string
    monthly_amount  = number
    currency        = optional(string, "USD")
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.monthly_amount >= 1 && floor(var.budget.monthly_amount) == var.budget.monthly_amount, false)
    error_message = "budget.monthly_amount must be a whole number of at least 1."
  }
}
