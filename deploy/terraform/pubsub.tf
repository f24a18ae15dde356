resource "google_pubsub_topic" "events" {
  project = var.project_id
  name    = var.topic
  labels  = local.labels

  dynamic "message_storage_policy" {
    for_each = length(local.storage_regions) > 0 ? [local.storage_regions] : []
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "dead_letters" {
  project = var.project_id
  name    = "${var.topic}-dead-letters"
  labels  = local.labels

  dynamic "message_storage_policy" {
    for_each = length(local.storage_regions) > 0 ? [local.storage_regions] : []
    content {
      allowed_persistence_regions = message_storage_policy.value
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "events" {
  project = var.project_id
  name    = "${var.topic}-bigquery"
  topic   = google_pubsub_topic.events.id
  labels  = local.labels

  ack_deadline_seconds       = 60
  message_retention_duration = "${var.message_retention_seconds}s"

  bigquery_config {
    table                 = "${var.project_id}.${var.dataset_id}.${google_bigquery_table.events.table_id}"
    use_table_schema      = true
    write_metadata        = false
    drop_unknown_fields   = false
    service_account_email = google_service_account.writer.email
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = var.max_delivery_attempts
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # Never: without traffic for a month it would be gone, and events with it.
  expiration_policy {
    ttl = ""
  }

  # Pub/Sub checks at creation that the writer may write, and that dead letters can leave.
  depends_on = [time_sleep.rights_hold]
}

resource "google_pubsub_subscription" "dead_letters" {
  project = var.project_id
  name    = "${var.topic}-dead-letters-bigquery"
  topic   = google_pubsub_topic.dead_letters.id
  labels  = local.labels

  ack_deadline_seconds       = 60
  message_retention_duration = "${var.message_retention_seconds}s"

  bigquery_config {
    table                 = "${var.project_id}.${var.dataset_id}.${google_bigquery_table.dead_letters_raw.table_id}"
    use_table_schema      = false
    write_metadata        = true
    service_account_email = google_service_account.writer.email
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [time_sleep.rights_hold]
}

# A role that was given holds everywhere only some time later, typically two minutes; depends_on alone waits for the answer that it was given.
# https://cloud.google.com/iam/docs/access-change-propagation
resource "time_sleep" "rights_hold" {
  create_duration = "120s"

  depends_on = [
    google_bigquery_table_iam_member.writer_events,
    google_bigquery_table_iam_member.writer_dead_letters,
    google_service_account_iam_member.pubsub_agent_acts_as_writer,
    google_pubsub_topic_iam_member.pubsub_agent_publishes_dead_letters,
  ]
}
