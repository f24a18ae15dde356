output "environment" {
  description = "Daybook's settings for these resources."
  value = {
    DAYBOOK_WAREHOUSE              = "bigquery"
    GOOGLE_CLOUD_PROJECT           = var.project_id
    BIGQUERY_TABLE_NAME            = "${google_bigquery_dataset.this.dataset_id}.${google_bigquery_table.events.table_id}"
    PUBSUB_TOPIC                   = google_pubsub_topic.events.name
    DAYBOOK_BIGQUERY_LOCATION      = google_bigquery_dataset.this.location
    DAYBOOK_BIGQUERY_DAILY_MINUTES = coalesce(var.daily_minutes, 15)
    DAYBOOK_TIMEZONE               = var.timezone
  }
}

output "helm_values" {
  description = "The same as values of the Helm chart."
  value = {
    mode     = "google"
    timezone = var.timezone
    settings = { DAYBOOK_BIGQUERY_DAILY_MINUTES = tostring(coalesce(var.daily_minutes, 15)) }
    google = {
      projectId = var.project_id
      table     = "${google_bigquery_dataset.this.dataset_id}.${google_bigquery_table.events.table_id}"
      topic     = google_pubsub_topic.events.name
      location  = google_bigquery_dataset.this.location
    }
  }
}

output "api_members" {
  description = "IAM members that have the API's roles."
  value       = values(local.api_members)
}

output "writer_service_account" {
  description = "Service account with which the subscriptions write to BigQuery."
  value       = google_service_account.writer.email
}

output "daily_service_account" {
  description = "Service account that the scheduled query runs as."
  value       = google_service_account.daily.email
}

output "dead_letter_topic" {
  description = "Topic of the messages that could not be written."
  value       = google_pubsub_topic.dead_letters.name
}
