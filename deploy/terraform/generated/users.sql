SELECT COALESCE(project, 'default') AS project, user_id, MIN(COALESCE(event_timestamp, TIMESTAMP_SECONDS(event_time))) AS first_seen_at
FROM `${project}.${dataset}.${table}` WHERE user_id IS NOT NULL GROUP BY 1, 2
