import type { Event, Fault } from './event.ts';
import { EVENT_LIMITS, SCAN_LIMITS } from './limits.ts';

/** The window that event_time must lie in, in unix seconds, both ends included. */
export interface TimeWindow {
  readonly fromS: number;
  readonly toS: number;
}

/** What is said of properties that have too much of something. */
export const PROPERTIES_FAULTS = {
  depth: `must be at most ${EVENT_LIMITS.propertiesDepthMax} levels deep`,
  keys: `must have at most ${EVENT_LIMITS.propertiesKeysMax} keys over all levels`,
  commas: `must be at most ${EVENT_LIMITS.propertiesBytesMax} bytes as JSON, and has more than ${SCAN_LIMITS.commasMax} values`,
} as const;

const NUL = '\u0000';
const encoder = new TextEncoder();

/**
 * The rules that the schema cannot say; the event must have passed the schema. Returns the faults, none
 * when the event is good. `escaped` says that the JSON text held an escape: only then can a string hold a NUL or a lone
 * surrogate, because the text itself is valid UTF-8.
 */
export function checkEvent(event: Event, window: TimeWindow, escaped: boolean): Fault[] {
  const faults: Fault[] = [];
  if (!(event.event_time >= window.fromS && event.event_time <= window.toS)) {
    faults.push({ pointer: '/event_time', detail: timeFault(event.event_time, window) });
  }
  if (escaped) checkStrings(event, faults);
  if (event.properties !== undefined) checkProperties(event.properties, escaped, faults);
  return faults;
}

function timeFault(value: number, window: TimeWindow): string {
  const allowed = `event_time must be unix seconds from ${iso(window.fromS)} to ${iso(window.toS)}`;
  for (const [unit, perSecond] of [
    ['milliseconds', 1e3],
    ['microseconds', 1e6],
    ['nanoseconds', 1e9],
  ] as const) {
    const seconds = value / perSecond;
    if (seconds >= window.fromS && seconds <= window.toS) {
      return `${value} looks like ${unit}: send seconds (${seconds}). ${allowed}`;
    }
  }
  return `${value} is out of range: ${allowed}`;
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}

function checkStrings(event: Event, faults: Fault[]): void {
  for (const [key, value] of Object.entries(event)) {
    if (typeof value === 'string') checkString(value, `/${key}`, faults);
  }
}

function checkString(value: string, pointer: string, faults: Fault[]): void {
  if (value.includes(NUL)) faults.push({ pointer, detail: 'must not contain a NUL character (\\u0000)' });
  if (!value.isWellFormed()) {
    faults.push({ pointer, detail: 'must be valid Unicode: it contains a lone surrogate' });
  }
}

function checkProperties(properties: object, escaped: boolean, faults: Fault[]): void {
  const walk = new PropertiesWalk(escaped);
  walk.value(properties, '', 'properties', 1);
  faults.push(...walk.faults);
  if (walk.faults.length > 0) return;
  const { propertiesBytesMax } = EVENT_LIMITS;
  const bytes =
    walk.bytesMax <= propertiesBytesMax ? 0 : encoder.encode(JSON.stringify(properties)).byteLength;
  if (bytes > propertiesBytesMax) {
    faults.push({
      pointer: '/properties',
      detail: `must be at most ${propertiesBytesMax} bytes as JSON, is ${bytes}`,
    });
  }
}

/** Most bytes that JSON takes for a number or a literal, with a comma. */
const SCALAR_BYTES_MAX = 32;
/** Most bytes that JSON takes for a UTF-16 unit of a string, as an escape. */
const UNIT_BYTES_MAX = 6;
/** Quotes, a colon and a comma, or brackets and a comma. */
const AROUND_BYTES = 4;

/** Walks properties once, within the limits on keys and depth, and stops at the first fault. */
class PropertiesWalk {
  readonly faults: Fault[] = [];
  /** What the properties cannot exceed as JSON, so that only large ones need be written to be counted. */
  bytesMax = AROUND_BYTES;
  readonly #escaped: boolean;
  #keys = 0;

  constructor(escaped: boolean) {
    this.#escaped = escaped;
  }

  /** The value of a key of what `parent` points to; its own pointer is made only where it is needed. */
  value(value: unknown, parent: string, key: string | number, depth: number): void {
    if (this.faults.length > 0) return;
    if (typeof value === 'string') {
      this.bytesMax += value.length * UNIT_BYTES_MAX + AROUND_BYTES;
      if (this.#escaped) checkString(value, pointerTo(parent, key), this.faults);
      return;
    }
    this.bytesMax += SCALAR_BYTES_MAX;
    if (typeof value === 'number') {
      if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) this.#number(pointerTo(parent, key));
    } else if (typeof value === 'object' && value !== null) {
      this.#container(value, pointerTo(parent, key), depth);
    }
  }

  #number(pointer: string): void {
    const limit = Number.MAX_SAFE_INTEGER;
    const detail = `numbers must lie within ±${limit} (2^53 − 1) to be kept exactly: send a larger one as a string`;
    this.faults.push({ pointer, detail });
  }

  #container(value: object, pointer: string, depth: number): void {
    if (depth > EVENT_LIMITS.propertiesDepthMax) {
      this.#fault(PROPERTIES_FAULTS.depth);
      return;
    }
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i += 1) this.value(value[i], pointer, i, depth + 1);
      return;
    }
    for (const key of Object.keys(value)) {
      this.#key(key, pointer);
      this.value((value as Record<string, unknown>)[key], pointer, key, depth + 1);
      if (this.faults.length > 0) return;
    }
  }

  #key(key: string, pointer: string): void {
    this.#keys += 1;
    this.bytesMax += key.length * UNIT_BYTES_MAX + AROUND_BYTES;
    if (this.#keys > EVENT_LIMITS.propertiesKeysMax) {
      this.#fault(PROPERTIES_FAULTS.keys);
    } else if (key === '__proto__') {
      this.faults.push({ pointer, detail: 'must not have a key "__proto__"' });
    } else if (this.#escaped) {
      checkString(key, pointer, this.faults);
    }
  }

  #fault(detail: string): void {
    this.faults.push({ pointer: '/properties', detail });
  }
}

function pointerTo(parent: string, key: string | number): string {
  return `${parent}/${typeof key === 'number' ? key : key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
