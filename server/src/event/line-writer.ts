import type { EventIds } from './ids.ts';
import { CLOSE_OBJECT, NEWLINE, QUOTE, ZERO } from './json-bytes.ts';
import { BATCH_LIMITS } from './limits.ts';
import type { EventLine } from './line.ts';
import { EVENT_ID, EVENT_NAME, type EventScan, FIELD_NAMES, PROPERTIES, STRINGS } from './scan.ts';
import { parseUnescapedKeys } from './strict-json.ts';

const LOOP_BYTES_MAX = 24;
/** Digits of a time in microseconds after 2001 and before 2286. */
const TIME_DIGITS = 16;

const bytesOf = (text: string) => new TextEncoder().encode(text);
const ID = bytesOf('{"event_id":"');
const GIVEN = bytesOf('","event_id_given":true');
const MADE = bytesOf('","event_id_given":false');
/** What stands before the value of each string and of properties. */
const BEFORE = FIELD_NAMES.map((name) => bytesOf(name === 'properties' ? ',"properties":' : `,"${name}":"`));

/** Most bytes that a plain event's line has beyond those of the event, apart from the project. */
const AROUND_BYTES = 400;

/** The shortest events of a batch as clients make them, and what each gains as a line: an id and a receipt. */
const EVENT_BYTES_MIN = 130;
const GAINED_BYTES = 180;

/** Room for the lines of a batch whose events have so many bytes; it grows where that is not enough. */
export function roomForLines(eventsBytes: number): number {
  const events = Math.min(Math.ceil(eventsBytes / EVENT_BYTES_MIN), BATCH_LIMITS.eventsMax);
  return eventsBytes + events * GAINED_BYTES + 2 * AROUND_BYTES;
}

/** What all lines of a batch have in common. */
export interface LineReceipt {
  readonly project: string;
  /** Unix milliseconds. */
  readonly nowMs: number;
  readonly ids: EventIds;
}

/** Gathers the lines of one batch as bytes, joined by \n. */
export class LineWriter {
  #out: Buffer<ArrayBuffer>;
  #at = 0;
  #count = 0;
  #nowMs = 0;
  #ids: EventIds | undefined;
  /** From the project to where the time stands. */
  #receipt = bytesOf('');

  constructor(room: number) {
    this.#out = Buffer.allocUnsafeSlow(room);
  }

  /** Begins a batch; what was written before is forgotten. */
  begin({ project, nowMs, ids }: LineReceipt): void {
    this.#at = 0;
    this.#count = 0;
    this.#nowMs = nowMs;
    this.#ids = ids;
    this.#receipt = bytesOf(
      `,"project":${JSON.stringify(project)},"received_at":${nowMs * 1_000},"event_time":`,
    );
  }

  /** Lines so far. */
  get count(): number {
    return this.#count;
  }

  /** Adds a line. */
  line(text: EventLine): void {
    this.#room(text.length * 3);
    this.#at += this.#out.write(text, this.#at, 'utf8');
  }

  /** Adds the line of a plain event, as `encodeLine` would write it. */
  plain(bytes: Buffer, event: EventScan, eventBytes: number): void {
    this.#room(eventBytes + this.#receipt.length + AROUND_BYTES);
    this.#put(ID);
    if (event.has(EVENT_ID)) {
      this.#string(bytes, event, EVENT_ID);
      this.#put(GIVEN);
    } else {
      this.#at = this.#ids!.write(this.#nowMs, this.#out, this.#at);
      this.#put(MADE);
    }
    this.#put(this.#receipt);
    this.#time(event.timeUs);
    for (let field = EVENT_NAME; field < STRINGS; field += 1) {
      if (!event.has(field)) continue;
      this.#put(BEFORE[field]!);
      this.#string(bytes, event, field);
      this.#out[this.#at++] = QUOTE;
    }
    if (event.has(PROPERTIES)) {
      this.#put(BEFORE[PROPERTIES]!);
      this.#properties(bytes, event);
    }
    this.#out[this.#at++] = CLOSE_OBJECT;
  }

  /** The lines in a buffer that is theirs; the writer must not be used again. */
  take(): Buffer<ArrayBuffer> {
    const lines = this.#out.subarray(0, this.#at);
    // Where most of the room is empty it would be held for nothing while the lines wait.
    if (lines.length > this.#out.length / 2) return lines;
    const copy = Buffer.allocUnsafeSlow(lines.length);
    lines.copy(copy);
    return copy;
  }

  /** The lines. They are valid until the next batch begins: copy them. */
  bytes(): Buffer {
    return this.#out.subarray(0, this.#at);
  }

  /** Room for one more line, and the \n before it. */
  #room(bytes: number): void {
    const needed = this.#at + bytes + 1;
    if (needed > this.#out.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#out.length * 2));
      this.#out.copy(larger, 0, 0, this.#at);
      this.#out = larger;
    }
    if (this.#count > 0) this.#out[this.#at++] = NEWLINE;
    this.#count += 1;
  }

  #put(piece: Uint8Array): void {
    this.#out.set(piece, this.#at);
    this.#at += piece.length;
  }

  /** The content of a string. As `JSON.stringify` writes it, it is never longer than it was sent. */
  #string(bytes: Buffer, event: EventScan, field: number): void {
    if ((event.escaped & (1 << field)) === 0) {
      this.#copy(bytes, event.starts[field]!, event.ends[field]!);
    } else {
      const text = JSON.stringify(event.texts[field]).slice(1, -1);
      this.#at += this.#out.write(text, this.#at, 'utf8');
    }
  }

  #properties(bytes: Buffer, { starts, ends, spaced, propertiesEscaped }: EventScan): void {
    const from = starts[PROPERTIES]!;
    const end = ends[PROPERTIES]!;
    if (propertiesEscaped > 0) {
      // In the values: the scan takes no key with an escape.
      const text = JSON.stringify(parseUnescapedKeys(bytes.toString('utf8', from, end)));
      this.#at += this.#out.write(text, this.#at, 'utf8');
    } else if (spaced) {
      this.#compact(bytes, from, end);
    } else {
      this.#copy(bytes, from, end);
    }
  }

  /** Short pieces by hand: a call costs as much as some thirty bytes. */
  #copy(bytes: Buffer, from: number, to: number): void {
    if (to - from > LOOP_BYTES_MAX) {
      this.#at += bytes.copy(this.#out, this.#at, from, to);
      return;
    }
    const out = this.#out;
    let at = this.#at;
    for (let index = from; index < to; index += 1) out[at++] = bytes[index]!;
    this.#at = at;
  }

  /** Copies JSON without escapes, and without the white space between its tokens. */
  #compact(bytes: Uint8Array, from: number, to: number): void {
    const out = this.#out;
    let at = this.#at;
    let inside = false;
    for (let index = from; index < to; index += 1) {
      const byte = bytes[index]!;
      if (byte === QUOTE) inside = !inside;
      if (inside || byte > 32) out[at++] = byte;
    }
    this.#at = at;
  }

  #time(us: number): void {
    if (us < 10 ** (TIME_DIGITS - 1) || us >= 10 ** TIME_DIGITS) {
      this.#put(bytesOf(String(us)));
      return;
    }
    const high = Math.floor(us / 1e8);
    this.#digits(high, this.#at + 8);
    this.#digits(us - high * 1e8, this.#at + 16);
    this.#at += TIME_DIGITS;
  }

  /** Eight digits that end before `end`. */
  #digits(value: number, end: number): void {
    const out = this.#out;
    let left = value | 0;
    for (let at = end - 1; at >= end - 8; at -= 1) {
      const rest = (left / 10) | 0;
      out[at] = ZERO + left - rest * 10;
      left = rest;
    }
  }
}
