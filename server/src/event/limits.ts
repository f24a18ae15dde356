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

/** Bytes of a character in JSON at most: where it lies beyond U+FFFF, two escapes of six. */
const CHAR_BYTES_MAX = 12;
/** Bytes that a byte of JSON may have as an escape. */
const ESCAPE_BYTES = 6;
/** Keys, brackets and commas of the event itself, its type and its time. */
const FRAME_BYTES = 1_024;
const STEP_BYTES = 64 * 1_024;

/** Bytes of an event whose every character is escaped, in keys too, at every limit. */
function largestEventBytes(): number {
  const { nameCharsMax, pageCharsMax, placeCharsMax, propertiesBytesMax } = EVENT_LIMITS;
  const chars = 4 * nameCharsMax + pageCharsMax + 3 * placeCharsMax;
  return chars * CHAR_BYTES_MAX + propertiesBytesMax * ESCAPE_BYTES + FRAME_BYTES;
}

/**
 * Bytes of one event as it is sent, alone or in a batch, after decompression: the largest valid event fits however it
 * is escaped, with room to spare for white space. Nothing larger is parsed.
 */
export const EVENT_BYTES_MAX = Math.ceil(largestEventBytes() / STEP_BYTES) * STEP_BYTES;

/**
 * Beyond every valid event. A text that has more, all of it counted, is refused while it is scanned; one within is parsed,
 * so that each of its faults can be named.
 */
export const SCAN_LIMITS = {
  keysMax: 1_024,
  depthMax: 32,
  /** Commas: a value with its comma takes two bytes of properties at least; the fields of an event have a few more. */
  commasMax: EVENT_LIMITS.propertiesBytesMax / 2 + 64,
  /** A text of so few bytes is parsed without a look: what is in it cannot be too much. */
  shortBytes: 1_024,
} as const;
