SELECT COALESCE(project, 'default') AS project, session_id, MIN(COALESCE(event_timestamp, TIMESTAMP_SECONDS(event_time))) AS started_at, MAX(COALESCE(event_timestamp, TIMESTAMP_SECONDS(event_time))) AS ended_at
FROM `${project}.${dataset}.${table}` WHERE session_id IS NOT NULL GROUP BY 1, 2
