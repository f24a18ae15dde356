import type { TimeWindow } from '../event/check.ts';
import type { Fault } from '../event/event.ts';
import { EVENT_BYTES_MAX } from '../event/limits.ts';
import { encodeLine, type Receipt } from '../event/line.ts';
import type { LineWriter } from '../event/line-writer.ts';
import { Outline } from '../event/outline.ts';
import type { EventScan } from '../event/scan.ts';
import { faultBeforeCut, parsePart } from './parse.ts';
import { type Reason, type Rejected, RejectedList } from './rejected.ts';
import { excessFault, hasEscapes, validate } from './validator.ts';
import type { ProblemCode } from '../http/problems.ts';

/** What one step of a batch may cost, in bytes of plain events; about a third of a millisecond. */
const STEP_COST = 64 * 1_024;
/** What an event costs beside its bytes, and what its bytes cost where it is parsed. */
const EVENT_COST = 128;
const PARSED_EVENT_COST = 1_024;
const PARSED_BYTE_COST = 4;

/** The good events of a batch as lines, and what is wrong with the others. */
export interface EncodedBatch {
  /** The lines of the good ones, joined by \n, in a buffer of their own. */
  readonly lines: Buffer<ArrayBuffer>;
  readonly accepted: number;
  /** The first hundred of them. */
  readonly rejected: readonly Rejected[];
  readonly rejectedTotal: number;
  readonly rejectedByCode: ReadonlyMap<ProblemCode, number>;
}

export interface BatchEventsOptions {
  /** Shared with other batches: it holds nothing between two events but what `resume` sets. */
  readonly scan: EventScan;
  /** Of this batch alone. */
  readonly writer: LineWriter;
  readonly window: TimeWindow;
  readonly receipt: Receipt;
}

/** What becomes of the events of one batch, in their order. */
export class BatchEvents {
  readonly #options: BatchEventsOptions;
  readonly #rejected = new RejectedList();
  /** The value that is not plain and was looked at last. */
  readonly outlined = new Outline();
  #view: Buffer = Buffer.alloc(0);
  #cost = 0;
  /** Events so far, good and bad. */
  count = 0;

  constructor(options: BatchEventsOptions) {
    this.#options = options;
  }

  /** Begins a step. */
  resume(): void {
    this.#cost = 0;
    this.#options.scan.within(this.#options.window);
  }

  /** Whether the step has cost enough. */
  get spent(): boolean {
    return this.#cost >= STEP_COST;
  }

  /** Something else took so much of the step. */
  worked(cost: number): void {
    this.#cost += cost;
  }

  /**
   * The bytes from their beginning to some place behind `at` that the largest event does not reach. What is done at once is
   * done within it, and takes as long as so many bytes take.
   */
  view(bytes: Buffer, at: number): Buffer {
    if (at + EVENT_BYTES_MAX >= this.#view.length && this.#view.length < bytes.length) {
      this.#view = bytes.subarray(0, at + 2 * EVENT_BYTES_MAX);
      this.#cost += EVENT_BYTES_MAX / 4;
    }
    return this.#view;
  }

  result(): EncodedBatch {
    const { writer } = this.#options;
    const { listed: rejected, total: rejectedTotal, byCode: rejectedByCode } = this.#rejected;
    const accepted = writer.count;
    return { lines: writer.take(), accepted, rejected, rejectedTotal, rejectedByCode };
  }

  /** Where the event ends that begins here, if it is plain, otherwise -1. `takePlain` takes it. */
  plainEnd(bytes: Buffer, from: number): number {
    const end = this.#options.scan.read(bytes, from);
    return end - from > EVENT_BYTES_MAX ? -1 : end;
  }

  /** Takes the plain event whose end was found last. */
  takePlain(bytes: Buffer, from: number, end: number): void {
    this.#options.writer.plain(bytes, this.#options.scan, end - from);
    this.count += 1;
    this.#cost += end - from + EVENT_COST;
  }

  /** Begins to look over a value that is not plain, before it is parsed; `takeOutlined` takes it once its end is known. */
  outline(from: number): Outline {
    this.outlined.begin(from);
    return this.outlined;
  }

  /**
   * Takes the value that was looked over: as an event, or as one that is rejected. Returns the character at which its text
   * stops being JSON, undefined where it does not; then it was not taken.
   */
  takeOutlined(bytes: Buffer): number | undefined {
    const { from, end, cut, excess, excessAt } = this.outlined;
    if (excess === undefined) return this.#parse(bytes.toString('utf8', from, end));
    this.#cost += (excessAt - from) * PARSED_BYTE_COST;
    const faultAt = faultBeforeCut(bytes.toString('utf8', from, excessAt));
    if (faultAt !== undefined) return faultAt;
    if (cut && end - from <= EVENT_BYTES_MAX) return bytes.toString('utf8', from, end).length;
    this.reject({ code: 'invalid-event', faults: [excessFault(bytes, this.outlined)] });
    return undefined;
  }

  #parse(text: string): number | undefined {
    const { window, writer, receipt } = this.#options;
    this.#cost += text.length * PARSED_BYTE_COST;
    const part = parsePart(text);
    if ('faultAt' in part) return part.faultAt;
    const escaped = hasEscapes(text);
    const checked = validate(part.value, window, escaped);
    if ('faults' in checked) {
      this.reject({ code: 'invalid-event', faults: checked.faults }, part.value);
      return undefined;
    }
    writer.line(encodeLine(checked.event, receipt, escaped));
    this.#countParsed();
    return undefined;
  }

  reject(reason: Reason, value?: unknown): void {
    this.#rejected.add(this.count, value, reason);
    this.#countParsed();
  }

  #countParsed(): void {
    this.count += 1;
    this.#cost += PARSED_EVENT_COST;
  }
}

/** One fault, of the event as a whole. */
export function whole(detail: string): readonly Fault[] {
  return [{ pointer: '', detail }];
}
