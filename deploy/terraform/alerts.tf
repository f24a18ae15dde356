# What an operator wants to be told of. Made where there is a channel to tell it through.

locals {
  subscription_of_events       = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.events.name}\""
  subscription_of_dead_letters = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead_letters.name}\""
  topic_of_events              = "resource.type = \"pubsub_topic\" AND resource.labels.topic_id = \"${google_pubsub_topic.events.name}\""

  # The last part of its name is the id; no series has the empty one, where none is made.
  scheduled_query = "resource.type = \"bigquery_dts_config\" AND resource.labels.config_id = \"${try(element(reverse(split("/", google_bigquery_data_transfer_config.daily[0].name)), 0), "")}\""

  # https://cloud.google.com/monitoring/api/metrics_gcp
  all_alerts = {
    dead-letters = {
      title     = "events became dead letters"
      help      = "Events were acknowledged that BigQuery refuses: see GET /analytics/dead-letters for the reason, mend it, then publish their bodies again."
      filter    = "${local.subscription_of_events} AND metric.type = \"pubsub.googleapis.com/subscription/dead_letter_message_count\""
      aligner   = "ALIGN_DELTA"
      threshold = 0
      duration  = "0s"
    }
    waiting = {
      title     = "events wait for BigQuery"
      help      = "The oldest event that is not in the table is older than five minutes: reports are behind."
      filter    = "${local.subscription_of_events} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner   = "ALIGN_MAX"
      threshold = 300
      duration  = "600s"
    }
    dead-letters-waiting = {
      title     = "dead letters wait for BigQuery"
      help      = "Dead letters do not reach their table; after seven days they are lost."
      filter    = "${local.subscription_of_dead_letters} AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner   = "ALIGN_MAX"
      threshold = 3600
      duration  = "600s"
    }
    publishing-fails = {
      title     = "publishing fails"
      help      = "Pub/Sub refuses what the server publishes: the server answers 503, and its log names the right or the topic that is missing."
      filter    = "${local.topic_of_events} AND metric.type = \"pubsub.googleapis.com/topic/send_request_count\" AND metric.labels.response_class != \"success\""
      aligner   = "ALIGN_RATE"
      threshold = 0.1
      duration  = "600s"
    }
    publishing-slow = {
      title     = "publishing is slow"
      help      = "One publish in a hundred takes longer than a second: clients wait as long for their answers."
      filter    = "${local.topic_of_events} AND metric.type = \"pubsub.googleapis.com/topic/send_request_latencies\""
      aligner   = "ALIGN_PERCENTILE_99"
      threshold = 1000000 # microseconds
      duration  = "600s"
    }
    scheduled-query-fails = {
      title     = "the table of days is not made"
      help      = "A run of the scheduled query failed: reports stay as of the last one. Its history under Scheduled queries names the error."
      filter    = "${local.scheduled_query} AND metric.type = \"bigquerydatatransfer.googleapis.com/transfer_config/completed_runs\" AND metric.labels.completion_state != \"SUCCEEDED\""
      aligner   = "ALIGN_DELTA"
      threshold = 0
      duration  = "0s"
    }
    server-errors = {
      title     = "answers with 5xx"
      help      = "The load balancer answers with 5xx. 503 with Retry-After: Pub/Sub or BigQuery is away. 502: pods go away under requests."
      filter    = "resource.type = \"https_lb_rule\" AND metric.type = \"loadbalancing.googleapis.com/https/request_count\" AND metric.labels.response_code_class = 500"
      aligner   = "ALIGN_RATE"
      threshold = 1
      duration  = "300s"
    }
  }

  alerts = { for name, alert in local.all_alerts : name => alert if length(var.notification_channels) > 0 && (name != "scheduled-query-fails" || var.daily_minutes != null) }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "Daybook: ${each.value.title}"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = each.value.aligner
      }
    }
  }

  documentation {
    content = each.value.help
  }

  depends_on = [google_project_service.this]
}

# Told at half, at nine tenths and when it is used up; nothing is switched off by it.
resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "Daybook in ${var.project_id}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.monthly_amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = var.notification_channels
  }
}
