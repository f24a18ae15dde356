import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from './json-bytes.ts';
import { EVENT_BYTES_MAX, SCAN_LIMITS } from './limits.ts';

/** Which bytes mean something outside of strings. */
const MARK = new Uint8Array(256);
for (const byte of [COMMA, COLON, QUOTE, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT]) MARK[byte] = 1;

/** Why a value is refused before it is parsed. */
export type Excess = 'bytes' | 'depth' | 'keys' | 'commas';

/**
 * Looks over one JSON value before anything is parsed or allocated: where it ends, and whether it goes beyond what
 * an event can have. It counts brackets, keys and quotes; that the value is JSON is not said. It stops and goes on, so
 * that a value of many megabytes can be looked over in pieces.
 */
export class Outline {
  /** Where the value begins. */
  from = 0;
  /** Where it ends; -1 while that is not known, and for good where the bytes end before it does. */
  end = -1;
  /** Whether its text ended before it did. */
  cut = false;
  /** What it has too much of, the first where there are several. */
  excess: Excess | undefined;
  /** Where that was found. */
  excessAt = 0;
  /** How many brackets were open there. */
  excessDepth = 0;
  /** Where the name of the field stands in which it was found, between its quotes, and how many keys are in that field. */
  fieldFrom = 0;
  fieldEnd = 0;
  fieldKeys = 0;
  #at = 0;
  #depth = 0;
  #keys = 0;
  #commas = 0;
  #inString = false;
  #stringFrom = 0;
  #stringEnd = 0;

  begin(from: number): void {
    this.from = from;
    this.end = -1;
    this.cut = false;
    this.excess = undefined;
    this.fieldFrom = this.fieldEnd = from;
    this.fieldKeys = 0;
    this.#at = from;
    this.#depth = 0;
    this.#keys = 0;
    this.#commas = 0;
    this.#inString = false;
  }

  /** Takes a short text as it is, without a look. */
  skip(from: number, end: number): void {
    this.begin(from);
    this.end = end;
  }

  /** Looks over so many bytes more; true once there is nothing more to see. */
  advance(bytes: Uint8Array, bytesMax: number): boolean {
    const limit = Math.min(this.#at + bytesMax, bytes.length);
    while (this.end === -1 && this.#at < limit) {
      if (this.#inString) this.#string(bytes, limit);
      else this.#tokens(bytes, limit);
    }
    const seenTo = this.end === -1 ? this.#at : this.end;
    this.#measure(seenTo);
    return this.end !== -1 || this.#at >= bytes.length;
  }

  /** The text of the value ends here, whatever stands in it. */
  close(end: number): void {
    this.cut = this.end === -1;
    this.end = end;
    this.#measure(end);
  }

  #measure(end: number): void {
    if (end - this.from > EVENT_BYTES_MAX) this.#exceeds('bytes', this.from + EVENT_BYTES_MAX);
  }

  /** As far as the closing quote. */
  #string(bytes: Uint8Array, limit: number): void {
    let at = this.#at;
    for (; at < limit; at += 1) {
      const byte = bytes[at];
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) break;
    }
    if (at < limit) {
      this.#inString = false;
      this.#stringEnd = at;
      at += 1;
    }
    this.#at = at;
  }

  /** As far as the next string, or the end of the value. */
  #tokens(bytes: Uint8Array, limit: number): void {
    let at = this.#at;
    while (at < limit) {
      const byte = bytes[at]!;
      at += 1;
      if (MARK[byte] === 0) continue;
      if (byte === QUOTE) {
        this.#inString = true;
        this.#stringFrom = at;
        break;
      }
      if (byte === COLON) this.#key(at);
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.#depth += 1;
        if (this.#depth > SCAN_LIMITS.depthMax) this.#exceeds('depth', at);
      } else if (this.#ends(byte, at)) {
        this.end = this.#depth === 0 && byte !== COMMA ? at : at - 1;
        break;
      }
    }
    this.#at = at;
  }

  /** Whether the value ends with this closing bracket, or before it or this comma. */
  #ends(byte: number, at: number): boolean {
    if (byte === COMMA) {
      this.#commas += 1;
      if (this.#commas > SCAN_LIMITS.commasMax) this.#exceeds('commas', at);
      return this.#depth === 0;
    }
    this.#depth -= 1;
    return this.#depth <= 0;
  }

  #key(at: number): void {
    this.#keys += 1;
    if (this.excess !== undefined) return;
    if (this.#depth === 1) {
      this.fieldFrom = this.#stringFrom;
      this.fieldEnd = this.#stringEnd;
      this.fieldKeys = 0;
    } else {
      this.fieldKeys += 1;
    }
    if (this.#keys > SCAN_LIMITS.keysMax) this.#exceeds('keys', at);
  }

  #exceeds(excess: Excess, at: number): void {
    if (this.excess !== undefined) return;
    this.excess = excess;
    this.excessAt = at;
    this.excessDepth = this.#depth;
  }
}
