import { blankEnd, NEWLINE } from '../event/json-bytes.ts';
import { BATCH_LIMITS } from '../event/limits.ts';
import { JsonSyntaxError, parseJson, readStrictly } from '../event/strict-json.ts';
import { Problem } from '../http/problems.ts';
import type { ChunkWatch } from './body.ts';
import type { Steps } from './turns.ts';

/** A JSON value, or the character at which its text stops being one. */
export type Part = { readonly value: unknown } | { readonly faultAt: number };

export function parsePart(text: string): Part {
  try {
    return { value: parseJson(text) };
  } catch (error) {
    if (error instanceof JsonSyntaxError) return { faultAt: error.at };
    throw error;
  }
}

/** The character at which a text that was cut off stops being JSON; undefined where nothing is wrong before the cut. */
export function faultBeforeCut(text: string): number | undefined {
  try {
    readStrictly(text);
    return undefined;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.at < text.length ? error.at : undefined;
    throw error;
  }
}

/** A body that is one JSON text and stops being one at a byte. */
export class BrokenBody extends Error {
  override readonly name = 'BrokenBody';
  readonly at: number;

  /** The fault is at a character behind the byte `from`. */
  constructor(bytes: Buffer, from: number, faultAt = 0) {
    super();
    // A character has at most four bytes.
    const before = bytes.toString('utf8', from, from + faultAt * 4).slice(0, faultAt);
    this.at = from + Buffer.byteLength(before);
  }
}

/** Bytes that are counted in one step. */
const COUNTED_BYTES = 256 * 1_024;

export function* brokenProblem(bytes: Buffer, { at }: BrokenBody): Steps<Problem> {
  const place = new Place();
  for (let from = 0; from < at; from += COUNTED_BYTES) {
    place.add(bytes, from, Math.min(at, from + COUNTED_BYTES));
    yield;
  }
  return new Problem('invalid-json', place.detail(at === bytes.length));
}

/** What is said of a text that is no JSON from one of its characters on. */
export function syntaxDetail(text: string, faultAt: number): string {
  const before = Buffer.from(text.slice(0, faultAt));
  const place = new Place();
  place.add(before, 0, before.length);
  return place.detail(faultAt === text.length);
}

/** A place in a text, counted in UTF-16 units as JavaScript and V8's own messages do. */
class Place {
  #units = 0;
  #line = 1;
  #lineUnits = 0;

  /** Goes on behind these bytes. */
  add(bytes: Uint8Array, from: number, to: number): void {
    let units = this.#units;
    for (let at = from; at < to; at += 1) {
      const byte = bytes[at]!;
      if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
      if (byte === NEWLINE) {
        this.#line += 1;
        this.#lineUnits = units;
      }
    }
    this.#units = units;
  }

  detail(atEnd: boolean): string {
    const column = this.#units - this.#lineUnits + 1;
    const inLine = this.#line === 1 ? '' : ` (line ${this.#line} column ${column})`;
    return `not valid JSON at position ${this.#units}${inLine}${atEnd ? ', where it ends' : ''}`;
  }
}

/** A body without the byte order mark that some programs write before UTF-8. */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** Refuses an NDJSON body while it arrives, once it has more lines than a batch may have (blank ones apart). */
export function watchLines(): ChunkWatch {
  let lines = 0;
  /** Whether a line that was counted goes on in the next chunk. */
  let open = false;
  return (chunk) => {
    for (let at = 0; at < chunk.length;) {
      if (!open) {
        at = blankEnd(chunk, at);
        if (at === chunk.length) return;
        if ((lines += 1) > BATCH_LIMITS.eventsMax) throw tooManyEvents();
      }
      const newline = chunk.indexOf(NEWLINE, at);
      open = newline === -1;
      at = open ? chunk.length : newline;
    }
  };
}

export function tooManyEvents(): Problem {
  return new Problem('too-many-events', `a batch must have at most ${BATCH_LIMITS.eventsMax} events`);
}

export function notUtf8(): Problem {
  return new Problem('invalid-utf8', 'the body is not valid UTF-8');
}
