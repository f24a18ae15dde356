SELECT * FROM `${project}.${dataset}.${table}_rows` WHERE TRUE
QUALIFY event_id IS NULL OR ROW_NUMBER() OVER (PARTITION BY project, event_id ORDER BY received_at) = 1
