resource "google_bigquery_dataset" "this" {
  project     = var.project_id
  dataset_id  = var.dataset_id
  location    = var.location
  description = "Daybook: events and the views that reports read."
  labels      = local.labels

  delete_contents_on_destroy = false

  depends_on = [google_project_service.this]
}

resource "google_bigquery_table" "events" {
  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = var.table_id
  description         = "One row a delivered event; at least once, so an event_id can come twice."
  schema              = file("${local.generated}/events.schema.json")
  clustering          = ["event_time"]
  deletion_protection = var.deletion_protection
  labels              = local.labels

  time_partitioning {
    type  = "DAY"
    field = "received_at"
  }
}

resource "google_bigquery_table" "dead_letters_raw" {
  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${var.table_id}_dead_letters_raw"
  description         = "Messages that could not be written to the table of events, with their attributes."
  schema              = file("${local.generated}/dead_letters_raw.schema.json")
  deletion_protection = var.deletion_protection
  labels              = local.labels

  time_partitioning {
    type  = "DAY"
    field = "publish_time"
  }
}

# Made from the events at any time, so not protected: a changed query replaces the view. None has max_staleness: with it each
# view answers as of a moment of its own, and the numbers of one report do not fit together.
resource "google_bigquery_table" "materialized" {
  for_each = {
    users     = ["project", "user_id"]
    sessions  = ["project", "session_id"]
    user_days = ["project", "day"]
  }

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${var.table_id}_${each.key}"
  clustering          = each.value
  deletion_protection = false
  labels              = local.labels

  materialized_view {
    query               = templatefile("${local.generated}/${each.key}.sql", local.sql)
    enable_refresh      = true
    refresh_interval_ms = 1800000
  }

  depends_on = [google_bigquery_table.events]
}

# A view is checked when it is made: what it reads has to be there.
resource "google_bigquery_table" "views_of_tables" {
  for_each = toset(["rows", "dead_letters"])

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${var.table_id}_${each.value}"
  deletion_protection = false
  labels              = local.labels

  view {
    query          = templatefile("${local.generated}/${each.value}.sql", local.sql)
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.events, google_bigquery_table.dead_letters_raw]
}

resource "google_bigquery_table" "views_of_views" {
  for_each = toset(["distinct", "daily"])

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${var.table_id}_${each.value}"
  deletion_protection = false
  labels              = local.labels

  view {
    query          = templatefile("${local.generated}/${each.value}.sql", local.sql)
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.materialized, google_bigquery_table.views_of_tables]
}

# Says which definitions the others were made from; the server compares them with its own. Made last.
resource "google_bigquery_table" "version" {
  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${var.table_id}_version"
  deletion_protection = false
  labels              = local.labels

  view {
    query          = templatefile("${local.generated}/version.sql", local.sql)
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.views_of_views]
}

# The table of days that reports read. Made from the events at any time, so not protected.
resource "google_bigquery_table" "daily_table" {
  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "${var.table_id}_daily_table"
  description         = "The numbers of each day as of a moment; a scheduled query rewrites it whole."
  schema              = file("${local.generated}/daily_table.schema.json")
  deletion_protection = false
  labels              = local.labels
}

# No destination dataset: the statement, a MERGE, says itself what is written. The location is that of the dataset.
resource "google_bigquery_data_transfer_config" "daily" {
  count = var.daily_minutes == null ? 0 : 1

  project              = var.project_id
  location             = var.location
  display_name         = "daybook: ${var.dataset_id}.${var.table_id}_daily_table"
  data_source_id       = "scheduled_query"
  schedule             = "every ${var.daily_minutes} minutes"
  service_account_name = google_service_account.daily.email

  params = {
    query = trimspace(templatefile("${local.generated}/daily_table.sql", local.sql))
  }

  depends_on = [
    google_bigquery_table.views_of_views,
    google_bigquery_table.daily_table,
    time_sleep.daily_rights_hold,
  ]
}

resource "time_sleep" "daily_rights_hold" {
  create_duration = "120s"

  depends_on = [
    google_bigquery_dataset_iam_member.daily_reads,
    google_bigquery_table_iam_member.daily_writes,
    google_project_iam_member.daily_runs_queries,
  ]
}
