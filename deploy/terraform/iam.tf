# The subscription's writer: nobody logs in as it; Pub/Sub's own agent uses it.
resource "google_service_account" "writer" {
  project      = var.project_id
  account_id   = "daybook-writer"
  display_name = "Daybook: writes events from Pub/Sub to BigQuery"

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "pubsub_agent_acts_as_writer" {
  service_account_id = google_service_account.writer.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent

  # The agent comes into being with the first use of Pub/Sub in the project.
  depends_on = [google_pubsub_topic.dead_letters]
}

resource "google_bigquery_table_iam_member" "writer_events" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.events.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.writer.member
}

resource "google_bigquery_table_iam_member" "writer_dead_letters" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.dead_letters_raw.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.writer.member
}

# Dead letters: Pub/Sub's agent takes them from the subscription and publishes them.
resource "google_pubsub_topic_iam_member" "pubsub_agent_publishes_dead_letters" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "pubsub_agent_takes_dead_letters" {
  project      = var.project_id
  subscription = google_pubsub_subscription.events.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# The API: publishes events and what it gives up itself, runs queries, reads one dataset.
resource "google_pubsub_topic_iam_member" "api_publishes" {
  for_each = local.api_members

  project = var.project_id
  topic   = google_pubsub_topic.events.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_pubsub_topic_iam_member" "api_publishes_dead_letters" {
  for_each = local.api_members

  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_project_iam_member" "api_runs_queries" {
  for_each = local.api_members

  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = each.value
}

resource "google_bigquery_dataset_iam_member" "api_reads" {
  for_each = local.api_members

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  # Datasets name principals of a federation in a way of their own.
  member = startswith(each.value, "principal") ? "iamMember:${each.value}" : each.value
}

# The scheduled query: reads the dataset and writes one table of it. Nobody logs in as it; the transfer service's own agent, which every
# project has with the API, runs queries as accounts of the same project.
resource "google_service_account" "daily" {
  project      = var.project_id
  account_id   = "daybook-daily"
  display_name = "Daybook: writes the table of days"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "daily_runs_queries" {
  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.daily.member
}

resource "google_bigquery_dataset_iam_member" "daily_reads" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.daily.member
}

resource "google_bigquery_table_iam_member" "daily_writes" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.daily_table.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.daily.member
}
