/**
 * Every limit on an event, in one place. The schema, the checks, the API document and the error texts
 * all read it from here.
 */
export const EVENT_LIMITS = {
  /** Characters in event_name, user_id, session_id and event_id. */
  nameCharsMax: 200,
  /** Characters in page. */
  pageCharsMax: 2_048,
  /** Characters in country, region and city. */
  placeCharsMax: 200,
  /** Bytes of properties, written as JSON in UTF-8. */
  propertiesBytesMax: 32 * 1_024,
  /** Keys in properties, counted over all its levels. */
  propertiesKeysMax: 255,
  /** Levels of nesting in properties; properties itself is the first. */
  propertiesDepthMax: 5,
} as const;

/** Limits on one request to the batch route. Bytes are counted after decompression. */
export const BATCH_LIMITS = {
  eventsMax: 10_000,
  bytesMax: 10 * 1_024 * 1_024,
} as const;

/** Bytes of one single-event request, after decompression: the largest valid event fits with room to spare. */
export const EVENT_BYTES_MAX = 128 * 1_024;
