import { isUtf8 } from 'node:buffer';
import { blankEnd, CLOSE_ARRAY, COMMA, OPEN_ARRAY, OPEN_OBJECT } from '../event/json-bytes.ts';
import { BATCH_LIMITS, EVENT_BYTES_MAX } from '../event/limits.ts';
import { Problem } from '../http/problems.ts';
import type { BatchEvents } from './batch-events.ts';
import { BrokenBody, brokenProblem, notUtf8, tooManyEvents } from './parse.ts';
import type { Steps } from './turns.ts';

/**
 * Takes the elements of a JSON array, one at a time: nothing is parsed but the element that is at hand. The array is one
 * text: where it is no JSON, all of it is refused.
 * @throws Problem invalid-utf8, invalid-json, empty-batch, too-many-events
 */
export function* takeArray(bytes: Buffer, events: BatchEvents): Steps<void> {
  if (!isUtf8(bytes)) throw notUtf8();
  if (bytes.length === 0) throw new Problem('invalid-json', 'the body is empty');
  const walk = new ArrayWalk(bytes, events);
  try {
    while (!walk.done) {
      events.resume();
      walk.some();
      yield;
    }
  } catch (error) {
    if (error instanceof BrokenBody) throw yield* brokenProblem(bytes, error);
    throw error;
  }
}

/** What comes next. `more` is the rest of an element that is larger than an event may be. */
type Next = 'open' | 'first' | 'element' | 'more' | 'after' | 'end' | 'done';

class ArrayWalk {
  readonly #bytes: Buffer;
  readonly #events: BatchEvents;
  #at = 0;
  #next: Next = 'open';

  constructor(bytes: Buffer, events: BatchEvents) {
    this.#bytes = bytes;
    this.#events = events;
  }

  get done(): boolean {
    return this.#next === 'done';
  }

  /** Goes on until the step has cost enough. */
  some(): void {
    while (!this.done && !this.#events.spent) this.#one();
  }

  #one(): void {
    if (this.#next === 'more') {
      this.#more();
      return;
    }
    const view = this.#events.view(this.#bytes, this.#at);
    this.#at = blankEnd(view, this.#at);
    if (this.#at === view.length && view.length < this.#bytes.length) return;
    if (this.#next === 'element') this.#element(view);
    else if (this.#next === 'after') this.#after();
    else this.#edge(view);
  }

  /** The array's own beginning and end. */
  #edge(view: Buffer): void {
    const byte = this.#bytes[this.#at];
    if (this.#next === 'first' && byte !== CLOSE_ARRAY) {
      this.#element(view);
    } else if (this.#next === 'first') {
      this.#pass('end');
    } else if (this.#next === 'open') {
      if (byte === undefined) this.#broken();
      if (byte !== OPEN_ARRAY) throw noArray();
      this.#pass('first');
    } else {
      if (byte !== undefined) this.#broken();
      if (this.#events.count === 0) throw new Problem('empty-batch', 'the array has no events');
      this.#next = 'done';
    }
  }

  #after(): void {
    const byte = this.#bytes[this.#at];
    if (byte === COMMA) this.#pass('element');
    else if (byte === CLOSE_ARRAY) this.#pass('end');
    else this.#broken();
  }

  #pass(next: Next): void {
    this.#at += 1;
    this.#next = next;
  }

  /** Takes the element that begins here, and those that follow it without white space. */
  #element(first: Buffer): void {
    const events = this.#events;
    let view = first;
    let from = this.#at;
    for (;;) {
      if (events.count === BATCH_LIMITS.eventsMax && view[from] !== CLOSE_ARRAY) throw tooManyEvents();
      const plainEnd = events.plainEnd(view, from);
      if (plainEnd === -1) break;
      events.takePlain(view, from, plainEnd);
      if (view[plainEnd] !== COMMA || view[plainEnd + 1] !== OPEN_OBJECT || events.spent) {
        this.#at = plainEnd;
        this.#next = 'after';
        return;
      }
      from = plainEnd + 1;
      view = events.view(this.#bytes, from);
    }
    this.#next = 'more';
    events.outline(from);
    this.#more();
  }

  /** Looks over an element, or more of it, and takes it once its end is known. */
  #more(): void {
    const bytes = this.#bytes;
    const events = this.#events;
    const outline = events.outlined;
    const known = outline.advance(bytes, EVENT_BYTES_MAX + 1);
    if (!known) {
      events.worked(EVENT_BYTES_MAX);
      return;
    }
    const { from, end } = outline;
    if (end === -1) outline.close(bytes.length);
    const faultAt = events.takeOutlined(bytes);
    if (faultAt !== undefined) throw new BrokenBody(bytes, from, faultAt);
    if (end === -1) throw new BrokenBody(bytes, bytes.length);
    this.#at = end;
    this.#next = 'after';
  }

  #broken(): never {
    throw new BrokenBody(this.#bytes, this.#at);
  }
}

function noArray(): Problem {
  return new Problem(
    'invalid-json',
    'a batch must be a JSON array of events, or NDJSON as application/x-ndjson',
  );
}
