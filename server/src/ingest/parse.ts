import { BATCH_LIMITS } from '../event/limits.ts';
import { Problem } from '../http/problems.ts';
import type { ChunkWatch } from './body.ts';
import { jsonFaultAt } from './json-fault.ts';

/** A part of a batch: a JSON value, or why it is none. */
export type BatchItem = { readonly value: unknown } | { readonly syntax: string };

const EMPTY = 'the body is empty';

/** @throws Problem `invalid-json` */
export function parseJson(text: string): unknown {
  if (text === '') throw new Problem('invalid-json', EMPTY);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem('invalid-json', syntaxDetail(error, text), { cause: error });
  }
}

/**
 * A JSON array → its items.
 * @throws Problem invalid-json, empty-batch, too-many-events
 */
export function parseArray(text: string): readonly BatchItem[] {
  const values = parseJson(text);
  if (!Array.isArray(values)) {
    throw new Problem(
      'invalid-json',
      'a batch must be a JSON array of events, or NDJSON as application/x-ndjson',
    );
  }
  if (values.length > BATCH_LIMITS.eventsMax) throw tooManyEvents();
  if (values.length === 0) throw new Problem('empty-batch', 'the array has no events');
  return values.map((value) => ({ value }));
}

/**
 * NDJSON → its items, one a line; blank lines are passed over and not counted.
 * @throws Problem empty-batch, too-many-events
 */
export function parseNdjson(text: string): readonly BatchItem[] {
  const items: BatchItem[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    if (items.length === BATCH_LIMITS.eventsMax) throw tooManyEvents();
    items.push(parseLine(line));
  }
  if (items.length === 0) throw new Problem('empty-batch', text === '' ? EMPTY : 'the body has no events');
  return items;
}

function parseLine(line: string): BatchItem {
  try {
    return { value: JSON.parse(line) };
  } catch (error) {
    return { syntax: syntaxDetail(error, line) };
  }
}

const NEWLINE = 10;

/** Refuses an NDJSON body while it arrives, once it has more lines than a batch may have (blank ones apart). */
export function watchLines(): ChunkWatch {
  const linesMax = BATCH_LIMITS.eventsMax;
  let lines = 0;
  let previous = NEWLINE;
  return (chunk) => {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) {
      const before = at === 0 ? previous : chunk[at - 1];
      if (before !== NEWLINE && before !== 13 && (lines += 1) > linesMax) throw tooManyEvents();
    }
    previous = chunk[chunk.length - 1] ?? previous;
  };
}

function tooManyEvents(): Problem {
  return new Problem('too-many-events', `a batch must have at most ${BATCH_LIMITS.eventsMax} events`);
}

/** V8 quotes the input in its message; clients get the place without their own content. */
function syntaxDetail(error: unknown, text: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const place = /at position \d+( \(line \d+ column \d+\))?/.exec(message)?.[0];
  if (place !== undefined) return `not valid JSON ${place}`;
  const at = message.startsWith('Unexpected end') ? text.length : jsonFaultAt(text);
  return `not valid JSON at position ${at}${at === text.length ? ', where it ends' : ''}`;
}
