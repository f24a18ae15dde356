import { EventLines } from '../event/lines.ts';
import { StoreError } from '../event/store-error.ts';
import { Problem, type ProblemCode } from '../http/problems.ts';
import type { Publisher } from '../transport/contract.ts';
import type { EncodedBatch } from './batch-events.ts';
import type { Encoder } from './encoder.ts';
import type { Rejected } from './rejected.ts';
import { Turns } from './turns.ts';

export interface BatchResult {
  readonly accepted: number;
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
  readonly encoder: Encoder;
  readonly meter: IngestMeter;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/**
 * Takes bodies in: encode, publish. Single events are encoded at once, batches in turns. Resolves only when their events are durable. Nothing but the lines is held while it
 * waits for that, which is why no function here awaits: an async function keeps all of its variables.
 */
export class Ingest {
  readonly #options: IngestOptions;
  readonly #turns = new Turns();

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  /**
   * One event.
   * @throws Problem invalid-utf8, invalid-json, invalid-event, storage-unavailable
   */
  event(body: Buffer): Promise<void> {
    const { encoder, now, meter } = this.#options;
    const line = encoder.event(body, now());
    return this.#publish(new EventLines([line], 1)).then(() => meter.accepted(1));
  }

  /**
   * A batch: the good events are stored together, the bad ones reported.
   * @throws Problem invalid-batch when none is good, storage-unavailable, server-busy, and what a body is refused for
   */
  batch(bytes: Buffer, ndjson: boolean): Promise<BatchResult> {
    const { encoder, now } = this.#options;
    const steps = encoder.batch({ bytes, ndjson, nowMs: now() });
    return this.#turns.run(steps, bytes.length).then((encoded) => this.#store(encoded));
  }

  #store({ lines, accepted, rejected, rejectedTotal, rejectedByCode }: EncodedBatch): Promise<BatchResult> {
    const { meter } = this.#options;
    meter.batch(accepted + rejectedTotal);
    for (const [code, events] of rejectedByCode) meter.rejected(code, events);
    if (accepted === 0) throw noneValid(rejected, rejectedTotal);
    return this.#publish(new EventLines([lines], accepted)).then(() => {
      meter.accepted(accepted);
      return { accepted, rejected, rejectedTotal };
    });
  }

  /** Why a body whose lines take so many bytes would be refused now, as far as can be told without reading it. */
  refusal(bytes: number): Problem | undefined {
    const error = this.#options.publisher.refusal(bytes);
    return error === undefined ? undefined : publishProblem(error);
  }

  #publish(lines: EventLines): Promise<void> {
    return this.#options.publisher.publish(lines).catch((error: unknown) => {
      throw publishProblem(error);
    });
  }
}

function noneValid(rejected: readonly Rejected[], rejectedTotal: number): Problem {
  return new Problem('invalid-batch', `none of the ${rejectedTotal} events is valid; nothing was stored`, {
    members: { accepted: 0, rejected, rejected_total: rejectedTotal },
  });
}

/** What a client hears when the transport fails. */
function publishProblem(error: unknown): Problem {
  const code = error instanceof StoreError ? error.code : undefined;
  if (code === 'too-large')
    return new Problem('body-too-large', 'the transport cannot take so large a batch', {
      cause: error as Error,
    });
  if (code === 'timeout') {
    return new Problem('outcome-unknown', 'it is not known whether the events were stored: some may be', {
      cause: error,
    });
  }
  return new Problem('storage-unavailable', 'the events could not be stored; nothing of them was', {
    cause: error,
  });
}
