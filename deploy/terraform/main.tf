# The way of an event: topic → BigQuery subscription → table → materialized views → views.
# What cannot be written goes to the dead-letter topic, and from there into a table of its own.

locals {
  generated = "${path.module}/generated"
  labels    = merge({ app = "daybook" }, var.labels)

  # What the SQL in generated/ leaves open.
  sql = {
    project  = var.project_id
    dataset  = var.dataset_id
    table    = var.table_id
    timezone = var.timezone
  }

  cluster_project_id = var.kubernetes_service_account == null ? null : coalesce(var.kubernetes_service_account.cluster_project_id, var.project_id)

  kubernetes_principals = var.kubernetes_service_account == null ? [] : [
    "principal://iam.googleapis.com/projects/${data.google_project.cluster[0].number}/locations/global/workloadIdentityPools/${local.cluster_project_id}.svc.id.goog/subject/ns/${var.kubernetes_service_account.namespace}/sa/${var.kubernetes_service_account.name}",
  ]

  # Known before the apply, so that for_each can use the keys.
  api_members = merge(
    { for member in var.api_members : member => member },
    var.kubernetes_service_account == null ? {} : { kubernetes = local.kubernetes_principals[0] },
  )

  # Where Pub/Sub may keep messages, so that they stay where the dataset lies. EU is that of BigQuery: member states of the union.
  # https://cloud.google.com/bigquery/docs/locations https://cloud.google.com/pubsub/docs/resource-location-restriction
  storage_regions = coalesce(var.storage_regions, lookup({
    EU = [
      "europe-west1", "europe-west3", "europe-west4", "europe-west8", "europe-west9", "europe-west10", "europe-west12",
      "europe-north1", "europe-north2", "europe-central2", "europe-southwest1",
    ]
    US = []
  }, upper(var.location), [lower(var.location)]))

  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

data "google_project" "this" {
  project_id = var.project_id
}

data "google_project" "cluster" {
  count      = var.kubernetes_service_account == null ? 0 : 1
  project_id = local.cluster_project_id
}

resource "google_project_service" "this" {
  for_each = var.enable_apis ? toset(["cloudresourcemanager.googleapis.com", "pubsub.googleapis.com", "bigquery.googleapis.com", "bigquerydatatransfer.googleapis.com", "iam.googleapis.com", "monitoring.googleapis.com"]) : toset([])

  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}
