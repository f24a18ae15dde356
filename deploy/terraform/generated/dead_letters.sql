SELECT publish_time AS died_at, 'rejected' AS reason,
  COALESCE(JSON_VALUE(attributes, '$.CloudPubSubDeadLetterSourceDeliveryErrorMessage'), '') AS detail,
  COALESCE(data, '') AS body
FROM `${project}.${dataset}.${table}_dead_letters_raw`
