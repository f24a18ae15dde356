import type { TimeWindow } from '../event/check.ts';
import type { Fault } from '../event/event.ts';
import { encodeLine, type EventLine, type Receipt } from '../event/line.ts';
import { EventLines } from '../event/lines.ts';
import { StoreError } from '../event/store-error.ts';
import { Problem, type ProblemCode } from '../http/problems.ts';
import type { Publisher } from '../transport/contract.ts';
import type { BatchItem } from './parse.ts';
import { validate } from './validator.ts';

/** Rejected events listed in one answer; further ones are counted, not listed. */
const REJECTED_MAX = 100;

/** An event of a batch that was not stored. */
export interface Rejected {
  /** Its place among the events of the batch, from 0. */
  readonly index: number;
  /** As sent, where it is a string of a valid length. */
  readonly event_id?: string;
  readonly code: ProblemCode;
  readonly errors: readonly Fault[];
}

export interface BatchResult {
  readonly accepted: number;
  /** The first `REJECTED_MAX` of them. */
  readonly rejected: readonly Rejected[];
  readonly rejectedTotal: number;
}

/** Counts what ingest does; see `telemetry/metrics.ts`. */
export interface IngestMeter {
  accepted(events: number): void;
  rejected(reason: ProblemCode, events: number): void;
  batch(events: number): void;
}

export interface IngestOptions {
  readonly publisher: Publisher;
  readonly meter: IngestMeter;
  readonly project: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly newEventId: () => string;
  readonly eventTimeMinS: number;
  readonly eventTimeAheadS: number;
}

/**
 * Takes events in: check, encode, publish. Resolves only when they are durable. Nothing but the lines is held while it
 * waits for that, which is why no function here awaits: an async function keeps all of its variables, and with
 * the parsed events of every waiting request the heap was three times as large.
 */
export class Ingest {
  readonly #options: IngestOptions;

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  /**
   * One event, as parsed.
   * @throws Problem invalid-event, storage-unavailable
   */
  event(value: unknown, escaped: boolean): Promise<void> {
    const { meter } = this.#options;
    const nowMs = this.#options.now();
    const checked = validate(value, this.#window(nowMs), escaped);
    if ('faults' in checked) {
      throw new Problem('invalid-event', describe(checked.faults), { faults: checked.faults });
    }
    return this.#publish([encodeLine(checked.event, this.#receipt(nowMs), escaped)]).then(() =>
      meter.accepted(1),
    );
  }

  /**
   * A batch: the good events are stored together, the bad ones reported.
   * @throws Problem invalid-batch when none is good, storage-unavailable
   */
  batch(items: readonly BatchItem[], escaped: boolean): Promise<BatchResult> {
    const { meter } = this.#options;
    const nowMs = this.#options.now();
    const window = this.#window(nowMs);
    const receipt = this.#receipt(nowMs);
    const lines: EventLine[] = [];
    const rejected = new RejectedList();
    for (const [index, item] of items.entries()) {
      const checked = 'value' in item ? validate(item.value, window, escaped) : item;
      if ('event' in checked) lines.push(encodeLine(checked.event, receipt, escaped));
      else rejected.add(index, item, checked);
    }
    meter.batch(items.length);
    for (const [code, events] of rejected.byCode) meter.rejected(code, events);
    if (lines.length === 0) throw rejected.problem();
    const accepted = lines.length;
    return this.#publish(lines).then(() => {
      meter.accepted(accepted);
      return { accepted, rejected: rejected.listed, rejectedTotal: rejected.total };
    });
  }

  #publish(lines: readonly EventLine[]): Promise<void> {
    return this.#options.publisher.publish(EventLines.of(lines)).catch((error: unknown) => {
      throw publishProblem(error);
    });
  }

  #window(nowMs: number): TimeWindow {
    const { eventTimeMinS, eventTimeAheadS } = this.#options;
    return { fromS: eventTimeMinS, toS: nowMs / 1_000 + eventTimeAheadS };
  }

  #receipt(nowMs: number): Receipt {
    const { project, newEventId } = this.#options;
    return { project, receivedAtUs: nowMs * 1_000, newEventId };
  }
}

/** The rejected events of one batch: the first ones listed, all of them counted. */
class RejectedList {
  readonly listed: Rejected[] = [];
  readonly byCode = new Map<ProblemCode, number>();
  total = 0;

  add(
    index: number,
    item: BatchItem,
    why: { readonly faults: readonly Fault[] } | { readonly syntax: string },
  ): void {
    const syntax = 'syntax' in why;
    const code: ProblemCode = syntax ? 'invalid-json' : 'invalid-event';
    this.total += 1;
    this.byCode.set(code, (this.byCode.get(code) ?? 0) + 1);
    if (this.listed.length === REJECTED_MAX) return;
    const errors = syntax ? [{ pointer: '', detail: why.syntax }] : why.faults;
    this.listed.push({ index, ...eventIdOf(item), code, errors });
  }

  problem(): Problem {
    return new Problem('invalid-batch', `none of the ${this.total} events is valid; nothing was stored`, {
      members: { accepted: 0, rejected: this.listed, rejected_total: this.total },
    });
  }
}

function eventIdOf(item: BatchItem): { event_id?: string } {
  const id = 'value' in item ? (item.value as { event_id?: unknown } | null)?.event_id : undefined;
  return typeof id === 'string' && id.length > 0 && id.length <= 200 && id.isWellFormed()
    ? { event_id: id }
    : {};
}

function describe(faults: readonly Fault[]): string {
  const first = faults[0];
  if (first === undefined) return 'the event is not valid';
  return first.pointer === '' ? first.detail : `${first.pointer.slice(1)}: ${first.detail}`;
}

/** What a client hears when the transport fails. */
function publishProblem(error: unknown): Problem {
  const code = error instanceof StoreError ? error.code : undefined;
  if (code === 'too-large')
    return new Problem('body-too-large', 'the transport cannot take so large a batch', {
      cause: error as Error,
    });
  if (code === 'timeout') {
    return new Problem(
      'outcome-unknown',
      'the broker did not confirm the events in time; some may be stored',
      {
        cause: error,
      },
    );
  }
  return new Problem('storage-unavailable', 'the events could not be stored; nothing of them was', {
    cause: error,
  });
}
