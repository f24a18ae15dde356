SELECT a.project, a.day, a.active_users, COALESCE(n.new_users, 0) AS new_users,
  COALESCE(s.sessions, 0) AS sessions, COALESCE(s.session_duration_us, 0) AS session_duration_us
FROM (
  SELECT project, day, COUNT(*) AS active_users FROM `${project}.${dataset}.${table}_user_days` GROUP BY 1, 2
) AS a
LEFT JOIN (
  SELECT project, DATE(first_seen_at, '${timezone}') AS day, COUNT(*) AS new_users
  FROM `${project}.${dataset}.${table}_users` GROUP BY 1, 2
) AS n ON n.project = a.project AND n.day = a.day
LEFT JOIN (
  SELECT project, DATE(started_at, '${timezone}') AS day, COUNT(*) AS sessions,
    SUM(TIMESTAMP_DIFF(ended_at, started_at, MICROSECOND)) AS session_duration_us
  FROM `${project}.${dataset}.${table}_sessions` GROUP BY 1, 2
) AS s ON s.project = a.project AND s.day = a.day
