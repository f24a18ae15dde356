SELECT event_id, COALESCE(project, 'default') AS project, received_at, COALESCE(event_timestamp, TIMESTAMP_SECONDS(event_time)) AS event_time, event_time AS event_seconds, event_name, user_id, session_id,
  page, country, region, city, properties
FROM `${project}.${dataset}.${table}`
