MERGE `${project}.${dataset}.${table}_daily_table` AS kept
USING (
  SELECT project, day, active_users, new_users, sessions, session_duration_us, CURRENT_TIMESTAMP() AS as_of, '36ea36f5949fea5c ${timezone}' AS version
  FROM `${project}.${dataset}.${table}_daily`
  UNION ALL
  SELECT CAST(NULL AS STRING), CAST(NULL AS DATE), 0, 0, 0, 0, CURRENT_TIMESTAMP() AS as_of, '36ea36f5949fea5c ${timezone}' AS version
) AS made
ON FALSE
WHEN NOT MATCHED BY SOURCE THEN DELETE
WHEN NOT MATCHED THEN INSERT (project, day, active_users, new_users, sessions, session_duration_us, as_of, version)
  VALUES (project, day, active_users, new_users, sessions, session_duration_us, as_of, version)
