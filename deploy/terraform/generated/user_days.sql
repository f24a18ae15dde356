SELECT COALESCE(project, 'default') AS project, DATE(COALESCE(event_timestamp, TIMESTAMP_SECONDS(event_time)), '${timezone}') AS day, user_id, COUNT(*) AS deliveries
FROM `${project}.${dataset}.${table}` WHERE user_id IS NOT NULL GROUP BY 1, 2, 3
