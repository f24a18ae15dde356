import { blankEnd, NEWLINE } from '../event/json-bytes.ts';
import { BATCH_LIMITS } from '../event/limits.ts';
import { Problem } from '../http/problems.ts';
import type { ChunkWatch } from './body.ts';
import { jsonFaultAt } from './json-fault.ts';

/** A part of a batch: a JSON value, or why it is none. */
export type Part = { readonly value: unknown } | { readonly syntax: string };

/** @throws Problem `invalid-json` */
export function parseJson(text: string): unknown {
  if (text === '') throw new Problem('invalid-json', 'the body is empty');
  const part = parsePart(text);
  if ('syntax' in part) throw new Problem('invalid-json', part.syntax);
  return part.value;
}

/**
 * A JSON array → its values.
 * @throws Problem invalid-json, empty-batch, too-many-events
 */
export function parseArray(text: string): readonly unknown[] {
  const values = parseJson(text);
  if (!Array.isArray(values)) {
    throw new Problem(
      'invalid-json',
      'a batch must be a JSON array of events, or NDJSON as application/x-ndjson',
    );
  }
  if (values.length > BATCH_LIMITS.eventsMax) throw tooManyEvents();
  if (values.length === 0) throw new Problem('empty-batch', 'the array has no events');
  return values;
}

export function parsePart(text: string): Part {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { syntax: syntaxDetail(error, text) };
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

/** V8 quotes the input in its message; clients get the place without their own content. */
function syntaxDetail(error: unknown, text: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const place = /at position \d+( \(line \d+ column \d+\))?/.exec(message)?.[0];
  if (place !== undefined) return `not valid JSON ${place}`;
  const at = message.startsWith('Unexpected end') ? text.length : jsonFaultAt(text);
  return `not valid JSON at position ${at}${at === text.length ? ', where it ends' : ''}`;
}
