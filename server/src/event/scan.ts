import {
  blankEnd,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  digitsEnd,
  DOT,
  literalEnd,
  OPEN_ARRAY,
  OPEN_OBJECT,
  plainNumberEnd,
  plainStringEnd,
  QUOTE,
  stringEnd,
  ZERO,
} from './json-bytes.ts';
import type { TimeWindow } from './check.ts';
import { EVENT_LIMITS } from './limits.ts';
import { microseconds } from './line.ts';
import { EVENT_SCHEMA } from './schema.ts';
import { parseJsonString } from './strict-json.ts';

/*
 * The short way from an event's JSON to its line: most events are plain, which means that their values can be
 * copied into the line as they stand. This finds out whether one is, and where its values lie, without parsing it; only
 * strings with escapes are parsed, each by itself. It says yes only where parsing, the schema, `check.ts` and `line.ts`
 * would together take the event and write the same bytes, and leaves every other, good or bad, to them: a number
 * written in another way, a text that may be too long, a field twice. A test holds the two ways together.
 */

/** Fields by number, in the order of the line; the first seven are its strings. */
export const EVENT_NAME = 0;
export const STRINGS = 7;
export const EVENT_ID = 7;
export const PROPERTIES = 8;
const TYPE = 9;
const EVENT_TIME = 10;
export const FIELD_NAMES = [
  'event_name',
  'user_id',
  'session_id',
  'page',
  'country',
  'region',
  'city',
  'event_id',
  'properties',
  'type',
  'event_time',
] as const;

const encoder = new TextEncoder();
const NAMES = FIELD_NAMES.map((name) => encoder.encode(name));

/** The same as they stand in an event, with the colon. */
const KEYS = FIELD_NAMES.map((name) => encoder.encode(`"${name}":`));

/** The fields whose names have so many bytes. */
const BY_LENGTH = Array.from({ length: 16 }, (_, length) =>
  FIELD_NAMES.map((_name, field) => field).filter((field) => NAMES[field]!.length === length),
);

/** `type`, `event_name`, `user_id`, `session_id`, `event_time`. */
const REQUIRED = (1 << TYPE) | (1 << EVENT_TIME) | 0b111;

const RULES: Readonly<
  Record<string, { readonly description?: string; minLength?: number; maxLength?: number }>
> = EVENT_SCHEMA.properties;
/** Least and most bytes of each string: a text of so many bytes has no more characters. */
const BYTES_MIN = FIELD_NAMES.map((name) => RULES[name]?.minLength ?? 0);
const BYTES_MAX = FIELD_NAMES.map((name) => RULES[name]?.maxLength ?? 0);

const TYPE_VALUE = encoder.encode('event"');
const PROTO = encoder.encode('__proto__');

/** Keys that one object of properties may have to be plain; each is compared with all before it. */
const OBJECT_KEYS_MAX = 32;

/** Strings with escapes that properties may have to be plain: from some of them on, parsing the whole costs less. */
const ESCAPED_MAX = 8;

export class EventScan {
  /** Where each field's value begins and ends, by field; of a string its content. */
  readonly starts = new Int32Array(FIELD_NAMES.length);
  readonly ends = new Int32Array(FIELD_NAMES.length);
  /** A bit for each field that is there. */
  seen = 0;
  timeUs = 0;
  /** The same for the strings that hold an escape, whose texts follow. */
  escaped = 0;
  readonly texts: string[] = FIELD_NAMES.map(() => '');
  /** Whether there is white space between the tokens of properties, and how many of their strings hold an escape. */
  spaced = false;
  propertiesEscaped = 0;
  /** The fields of the last event in the order in which it had them: the next one is likely to have the same. */
  readonly #order = new Int8Array(FIELD_NAMES.length);
  #window: TimeWindow = { fromS: 0, toS: 0 };
  /** Where properties must have ended to be plain. */
  #propertiesEnd = 0;
  #keys = 0;
  /** Hashes of the keys of the objects that are open, and how many. */
  readonly #hashes = new Int32Array(OBJECT_KEYS_MAX * EVENT_LIMITS.propertiesDepthMax);
  #hashed = 0;

  /** Events outside of the window are not plain. */
  within(window: TimeWindow): void {
    this.#window = window;
  }

  has(field: number): boolean {
    return (this.seen & (1 << field)) !== 0;
  }

  /** Where the event ends that begins here, if it is plain; otherwise -1. The bytes must be valid UTF-8. */
  read(bytes: Buffer, from: number): number {
    this.seen = 0;
    this.escaped = 0;
    if (bytes[from] !== OPEN_OBJECT) return -1;
    let at = from;
    let place = 0;
    do {
      at = this.#member(bytes, blankEnd(bytes, at + 1), place);
      if (at === -1) return -1;
      at = blankEnd(bytes, at);
      place += 1;
    } while (bytes[at] === COMMA);
    return bytes[at] === CLOSE_OBJECT && (this.seen & REQUIRED) === REQUIRED ? at + 1 : -1;
  }

  /** The member of an event that begins here, its first, second and so on; returns where it ends. */
  #member(bytes: Buffer, from: number, place: number): number {
    const likely = this.#order[place] ?? 0;
    if (!this.has(likely) && equals(bytes, from, KEYS[likely]!)) {
      this.seen |= 1 << likely;
      return this.#value(likely, bytes, blankEnd(bytes, from + KEYS[likely]!.length));
    }
    if (bytes[from] !== QUOTE) return -1;
    const keyEnd = plainStringEnd(bytes, from + 1);
    const field = fieldAt(bytes, from + 1, keyEnd);
    if (field === -1 || this.has(field)) return -1;
    this.seen |= 1 << field;
    this.#order[place] = field;
    const colon = blankEnd(bytes, keyEnd + 1);
    if (bytes[colon] !== COLON) return -1;
    return this.#value(field, bytes, blankEnd(bytes, colon + 1));
  }

  #value(field: number, bytes: Buffer, from: number): number {
    if (field === EVENT_TIME) return this.#time(bytes, from);
    if (field === PROPERTIES) return this.#properties(bytes, from);
    if (bytes[from] !== QUOTE) return -1;
    if (field === TYPE) return equals(bytes, from + 1, TYPE_VALUE) ? from + 1 + TYPE_VALUE.length : -1;
    const plainEnd = plainStringEnd(bytes, from + 1);
    const end = plainEnd === -1 ? this.#escapedEnd(field, bytes, from + 1) : plainEnd;
    const length = end - from - 1;
    if (length < BYTES_MIN[field]! || length > BYTES_MAX[field]!) return -1;
    this.starts[field] = from + 1;
    this.ends[field] = end;
    return end + 1;
  }

  /** The closing quote of a string that holds an escape, or -1. */
  #escapedEnd(field: number, bytes: Buffer, from: number): number {
    const end = stringEnd(bytes, from);
    const text = end - from > BYTES_MAX[field]! ? undefined : goodText(bytes, from, end);
    if (text === undefined) return -1;
    this.escaped |= 1 << field;
    this.texts[field] = text;
    return end;
  }

  #time(bytes: Buffer, from: number): number {
    const end = plainTimeEnd(bytes, from);
    if (end === -1) return -1;
    const seconds = decimal(bytes, from, end);
    if (!(seconds >= this.#window.fromS && seconds <= this.#window.toS)) return -1;
    this.timeUs = microseconds(seconds);
    return end;
  }

  #properties(bytes: Buffer, from: number): number {
    this.#keys = 0;
    this.#hashed = 0;
    this.spaced = false;
    this.propertiesEscaped = 0;
    this.#propertiesEnd = from + EVENT_LIMITS.propertiesBytesMax;
    const end = bytes[from] === OPEN_OBJECT ? this.#object(bytes, from, 1) : -1;
    if (end > this.#propertiesEnd) return -1;
    this.starts[PROPERTIES] = from;
    this.ends[PROPERTIES] = end;
    return end;
  }

  #object(bytes: Buffer, from: number, depth: number): number {
    if (depth > EVENT_LIMITS.propertiesDepthMax) return -1;
    let at = this.#blankEnd(bytes, from + 1);
    if (bytes[at] === CLOSE_OBJECT) return at + 1;
    const hashedBefore = this.#hashed;
    for (;;) {
      at = this.#key(bytes, at, hashedBefore);
      if (at === -1 || bytes[at] !== COLON) return -1;
      at = this.#inner(bytes, this.#blankEnd(bytes, at + 1), depth);
      if (at === -1) return -1;
      at = this.#blankEnd(bytes, at);
      if (bytes[at] !== COMMA) break;
      at = this.#blankEnd(bytes, at + 1);
    }
    this.#hashed = hashedBefore;
    return bytes[at] === CLOSE_OBJECT ? at + 1 : -1;
  }

  #blankEnd(bytes: Buffer, from: number): number {
    if (from < bytes.length && bytes[from]! > 32) return from;
    this.spaced = true;
    return blankEnd(bytes, from);
  }

  /** A key of the object whose hashes begin at `first`; returns where the colon after it must be. */
  #key(bytes: Buffer, from: number, first: number): number {
    if (bytes[from] !== QUOTE) return -1;
    const end = plainStringEnd(bytes, from + 1);
    if (end === -1 || (this.#keys += 1) > EVENT_LIMITS.propertiesKeysMax) return -1;
    // A key like "7" would come first in the object, __proto__ is refused.
    if (digitsEnd(bytes, from + 1) > from + 1) return -1;
    if (end - from - 1 === PROTO.length && equals(bytes, from + 1, PROTO)) return -1;
    let hash = 0;
    for (let at = from + 1; at < end; at += 1) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    for (let index = first; index < this.#hashed; index += 1) if (this.#hashes[index] === hash) return -1;
    if (this.#hashed - first === OBJECT_KEYS_MAX) return -1;
    this.#hashes[this.#hashed++] = hash;
    return this.#blankEnd(bytes, end + 1);
  }

  /** A value within properties, at the given level. */
  #inner(bytes: Buffer, from: number, depth: number): number {
    if (from > this.#propertiesEnd) return -1;
    const byte = bytes[from];
    if (byte === QUOTE) return this.#innerString(bytes, from + 1);
    if (byte === OPEN_OBJECT) return this.#object(bytes, from, depth + 1);
    if (byte === OPEN_ARRAY) return this.#array(bytes, from, depth + 1);
    const end = literalEnd(bytes, from);
    return end === -1 ? plainNumberEnd(bytes, from) : end;
  }

  #innerString(bytes: Buffer, from: number): number {
    const plainEnd = plainStringEnd(bytes, from);
    if (plainEnd !== -1) return plainEnd + 1;
    if (this.propertiesEscaped === ESCAPED_MAX) return -1;
    const end = stringEnd(bytes, from);
    if (end > this.#propertiesEnd || goodText(bytes, from, end) === undefined) return -1;
    this.propertiesEscaped += 1;
    return end + 1;
  }

  #array(bytes: Buffer, from: number, depth: number): number {
    if (depth > EVENT_LIMITS.propertiesDepthMax) return -1;
    let at = this.#blankEnd(bytes, from + 1);
    if (bytes[at] === CLOSE_ARRAY) return at + 1;
    for (;;) {
      at = this.#inner(bytes, at, depth);
      if (at === -1) return -1;
      at = this.#blankEnd(bytes, at);
      if (bytes[at] !== COMMA) break;
      at = this.#blankEnd(bytes, at + 1);
    }
    return bytes[at] === CLOSE_ARRAY ? at + 1 : -1;
  }
}

/** The text of a string whose content lies there, where it is one that may be stored. */
function goodText(bytes: Buffer, from: number, end: number): string | undefined {
  if (end === -1) return undefined;
  try {
    const text = parseJsonString(bytes.toString('utf8', from - 1, end + 1));
    return text.isWellFormed() && !text.includes('\u0000') ? text : undefined;
  } catch {
    return undefined;
  }
}

function fieldAt(bytes: Uint8Array, from: number, end: number): number {
  const candidates = BY_LENGTH[end - from];
  if (candidates === undefined) return -1;
  for (const field of candidates) if (equals(bytes, from, NAMES[field]!)) return field;
  return -1;
}

/** Where a time ends that begins here, with a fraction or without; or -1. */
function plainTimeEnd(bytes: Uint8Array, from: number): number {
  const whole = digitsEnd(bytes, from);
  if (whole === from || bytes[from] === ZERO) return -1;
  if (bytes[whole] !== DOT) return whole;
  const end = digitsEnd(bytes, whole + 1);
  return end === whole + 1 ? -1 : end;
}

/** The number that digits with at most one point say. The quotient of two exact numbers is the nearest one to it. */
function decimal(bytes: Buffer, from: number, end: number): number {
  let digits = 0;
  let scale = 1;
  let fraction = false;
  for (let at = from; at < end; at += 1) {
    if (bytes[at] === DOT) {
      fraction = true;
      continue;
    }
    digits = digits * 10 + bytes[at]! - ZERO;
    if (fraction) scale *= 10;
  }
  return digits <= Number.MAX_SAFE_INTEGER ? digits / scale : Number(bytes.toString('latin1', from, end));
}

function equals(bytes: Uint8Array, from: number, other: Uint8Array): boolean {
  for (let index = other.length - 1; index >= 0; index -= 1) {
    if (bytes[from + index] !== other[index]) return false;
  }
  return true;
}
