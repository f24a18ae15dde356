import { isUtf8 } from 'node:buffer';
import type { TimeWindow } from '../event/check.ts';
import type { Fault } from '../event/event.ts';
import type { EventIds } from '../event/ids.ts';
import { blankEnd, CLOSE_ARRAY, COMMA, NEWLINE, OPEN_ARRAY, valueEnd } from '../event/json-bytes.ts';
import { BATCH_LIMITS } from '../event/limits.ts';
import { encodeLine, type Receipt } from '../event/line.ts';
import { LineWriter } from '../event/line-writer.ts';
import { EventScan } from '../event/scan.ts';
import { Problem, type ProblemCode } from '../http/problems.ts';
import { notUtf8, parseArray, parseJson, parsePart, type Part, tooManyEvents, withoutMark } from './parse.ts';
import { hasEscapes, validate } from './validator.ts';

/** Rejected events listed in one answer; further ones are counted, not listed. */
const REJECTED_MAX = 100;

/** What holds for all events of the server. */
export interface EncodeRules {
  readonly project: string;
  readonly eventTimeMinS: number;
  readonly eventTimeAheadS: number;
}

/** A batch as it was sent. */
export interface BatchBody {
  readonly bytes: Buffer;
  /** One event a line; otherwise a JSON array. */
  readonly ndjson: boolean;
  /** When it came, in unix milliseconds. */
  readonly nowMs: number;
}

/** An event of a batch that is not stored. */
export interface Rejected {
  /** Its place among the events of the batch, from 0. */
  readonly index: number;
  /** As sent, where it is a string of a valid length. */
  readonly event_id?: string;
  readonly code: ProblemCode;
  readonly errors: readonly Fault[];
}

/** The good events of a batch as lines, and what is wrong with the others. */
export interface EncodedBatch {
  /** The lines of the good ones, joined by \n, in a buffer of their own. */
  readonly lines: Buffer<ArrayBuffer>;
  readonly accepted: number;
  /** The first `REJECTED_MAX` of them. */
  readonly rejected: readonly Rejected[];
  readonly rejectedTotal: number;
  readonly rejectedByCode: ReadonlyMap<ProblemCode, number>;
}

/**
 * From a body to its lines: parse, check, encode. No I/O and no state between calls but buffers. Events that are plain
 * (`event/scan.ts`) are copied from the body into the lines; every other is parsed.
 */
export class Encoder {
  readonly #rules: EncodeRules;
  readonly #ids: EventIds;
  readonly #scan = new EventScan();
  readonly #writer = new LineWriter();
  #rejected = new RejectedList();
  #window: TimeWindow = { fromS: 0, toS: 0 };
  #receipt: Receipt;

  constructor(rules: EncodeRules, ids: EventIds) {
    this.#rules = rules;
    this.#ids = ids;
    this.#receipt = this.#receiptAt(0);
  }

  /** @throws Problem invalid-utf8, invalid-json, empty-batch, too-many-events */
  batch({ bytes, ndjson, nowMs }: BatchBody): EncodedBatch {
    this.#begin(nowMs);
    this.#rejected = new RejectedList();
    if (ndjson) this.#lines(withoutMark(bytes));
    else this.#array(withoutMark(bytes), nowMs);
    const { listed: rejected, total: rejectedTotal, byCode: rejectedByCode } = this.#rejected;
    const lines = Buffer.allocUnsafeSlow(this.#writer.bytes().length);
    this.#writer.bytes().copy(lines);
    return { lines, accepted: this.#writer.count, rejected, rejectedTotal, rejectedByCode };
  }

  /**
   * The line of a single event.
   * @throws Problem invalid-utf8, invalid-json, invalid-event
   */
  event(body: Buffer, nowMs: number): Buffer {
    this.#begin(nowMs);
    const bytes = withoutMark(body);
    if (!isUtf8(bytes)) throw notUtf8();
    const end = this.#scan.read(bytes, blankEnd(bytes, 0));
    if (end !== -1 && blankEnd(bytes, end) === bytes.length) {
      this.#writer.plain(bytes, this.#scan, bytes.length);
    } else {
      const text = bytes.toString('utf8');
      const escaped = hasEscapes(text);
      const checked = validate(parseJson(text), this.#window, escaped);
      if ('faults' in checked) {
        throw new Problem('invalid-event', describe(checked.faults), { faults: checked.faults });
      }
      this.#writer.line(encodeLine(checked.event, this.#receipt, escaped));
    }
    return Buffer.from(this.#writer.bytes());
  }

  #begin(nowMs: number): void {
    const { eventTimeMinS, eventTimeAheadS, project } = this.#rules;
    this.#window = { fromS: eventTimeMinS, toS: nowMs / 1_000 + eventTimeAheadS };
    this.#receipt = this.#receiptAt(nowMs);
    this.#scan.within(this.#window);
    this.#writer.begin({ project, nowMs, ids: this.#ids });
  }

  #receiptAt(nowMs: number): Receipt {
    const { project } = this.#rules;
    return { project, receivedAtUs: nowMs * 1_000, newEventId: () => this.#ids.next(nowMs) };
  }

  /** Event by event where the array's brackets and commas allow it, otherwise parsed as a whole, for its error too. */
  #array(bytes: Buffer, nowMs: number): void {
    if (!isUtf8(bytes)) throw notUtf8();
    if (this.#walk(bytes)) return;
    this.#begin(nowMs);
    this.#rejected = new RejectedList();
    const text = bytes.toString('utf8');
    const escaped = hasEscapes(text);
    for (const [index, value] of parseArray(text).entries()) this.#add(index, { value }, escaped);
  }

  /** False when this is no array of JSON values, or one with too few or too many of them. */
  #walk(bytes: Buffer): boolean {
    let at = blankEnd(bytes, 0);
    if (bytes[at] !== OPEN_ARRAY) return false;
    for (let index = 0; index < BATCH_LIMITS.eventsMax; index += 1) {
      at = this.#element(bytes, blankEnd(bytes, at + 1), index);
      if (at === -1) return false;
      at = blankEnd(bytes, at);
      if (bytes[at] === CLOSE_ARRAY) return blankEnd(bytes, at + 1) === bytes.length;
      if (bytes[at] !== COMMA) return false;
    }
    return false;
  }

  /** Where the value ends that begins here, or -1 when it is none. */
  #element(bytes: Buffer, from: number, index: number): number {
    const plainEnd = this.#scan.read(bytes, from);
    if (plainEnd !== -1) {
      this.#writer.plain(bytes, this.#scan, plainEnd - from);
      return plainEnd;
    }
    const end = valueEnd(bytes, from);
    if (end === -1) return -1;
    const text = bytes.toString('utf8', from, end);
    const part = parsePart(text);
    if ('syntax' in part) return -1;
    this.#add(index, part, hasEscapes(text));
    return end;
  }

  #lines(bytes: Buffer): void {
    const valid = isUtf8(bytes);
    let index = 0;
    for (let at = blankEnd(bytes, 0); at < bytes.length; index += 1) {
      if (index === BATCH_LIMITS.eventsMax) throw tooManyEvents();
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline === -1 ? bytes.length : newline;
      this.#line(bytes, { from: at, end, valid }, index);
      at = blankEnd(bytes, end);
    }
    if (index === 0)
      throw new Problem('empty-batch', bytes.length === 0 ? 'the body is empty' : 'the body has no events');
  }

  #line(
    bytes: Buffer,
    { from, end, valid }: { readonly from: number; readonly end: number; readonly valid: boolean },
    index: number,
  ): void {
    if (!valid && !isUtf8(bytes.subarray(from, end))) {
      this.#rejected.add(index, undefined, NOT_UTF8);
      return;
    }
    const plainEnd = this.#scan.read(bytes, from);
    if (plainEnd !== -1 && plainEnd <= end && blankEnd(bytes, plainEnd) >= end) {
      this.#writer.plain(bytes, this.#scan, plainEnd - from);
      return;
    }
    const text = bytes.toString('utf8', from, end);
    this.#add(index, parsePart(text), hasEscapes(text));
  }

  #add(index: number, part: Part, escaped: boolean): void {
    if ('syntax' in part) {
      this.#rejected.add(index, undefined, { code: 'invalid-json', faults: whole(part.syntax) });
      return;
    }
    const checked = validate(part.value, this.#window, escaped);
    if ('event' in checked) this.#writer.line(encodeLine(checked.event, this.#receipt, escaped));
    else this.#rejected.add(index, part.value, { code: 'invalid-event', faults: checked.faults });
  }
}

interface Reason {
  readonly code: ProblemCode;
  readonly faults: readonly Fault[];
}

const whole = (detail: string): readonly Fault[] => [{ pointer: '', detail }];
const NOT_UTF8: Reason = { code: 'invalid-utf8', faults: whole('not valid UTF-8') };

/** The rejected events of one batch: the first ones listed, all of them counted. */
class RejectedList {
  readonly listed: Rejected[] = [];
  readonly byCode = new Map<ProblemCode, number>();
  total = 0;

  add(index: number, value: unknown, { code, faults }: Reason): void {
    this.total += 1;
    this.byCode.set(code, (this.byCode.get(code) ?? 0) + 1);
    if (this.listed.length < REJECTED_MAX) {
      this.listed.push({ index, ...eventIdOf(value), code, errors: faults });
    }
  }
}

function eventIdOf(value: unknown): { event_id?: string } {
  const id = (value as { event_id?: unknown } | null | undefined)?.event_id;
  return typeof id === 'string' && id.length > 0 && id.length <= 200 && id.isWellFormed()
    ? { event_id: id }
    : {};
}

function describe(faults: readonly Fault[]): string {
  const first = faults[0];
  if (first === undefined) return 'the event is not valid';
  return first.pointer === '' ? first.detail : `${first.pointer.slice(1)}: ${first.detail}`;
}
