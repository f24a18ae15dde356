import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLine } from '../event/line.ts';
import { EventLines } from '../event/lines.ts';
import { StoreError } from '../event/store-error.ts';
import type { Delivery, Source } from '../transport/contract.ts';
import type { DeadLetter, InsertResult, Sink } from '../warehouse/contract.ts';

/**
 * Bytes of lines in one batch, at most, but for a record that is larger alone. Two batches are in memory while one is read ahead,
 * and DuckDB holds several times a batch while it loads it.
 */
const BATCH_BYTES_MAX = 16 * 1_024 * 1_024;
/** How long one look at an empty source lasts, in milliseconds. */
const RECEIVE_WAIT_MS = 500;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5_000;

/** What the loader tells about its work, for metrics and logs. */
export interface LoaderObserver {
  loaded(delivery: Delivery, result: InsertResult, deadLetters: readonly DeadLetter[], ms: number): void;
  failed(error: StoreError): void;
}

export interface LoaderOptions {
  readonly source: Source;
  readonly sink: Sink;
  readonly eventsMax: number;
  /** Pause after a batch that was not full, so that the next one is worth its cost. */
  readonly intervalMs: number;
  readonly observer: LoaderObserver;
  /** Unix microseconds. */
  readonly nowUs: () => number;
}

/**
 * Moves events from a source into a sink, the warehouse as a rule: receive, insert, acknowledge. One batch at a time. A store that
 * is away is tried again for ever, with a growing pause; what waits is bounded by the source. A batch that
 * the sink rejects is searched for the lines it rejects; those become dead letters, the rest is inserted.
 */
export class Loader {
  readonly #options: LoaderOptions;

  constructor(options: LoaderOptions) {
    this.#options = options;
  }

  /** Runs until the signal fires; the batch in hand is finished or handed back. */
  async run(signal: AbortSignal): Promise<void> {
    const { source, eventsMax, intervalMs } = this.#options;
    const receive = (waitMs: number) =>
      source.receive({ eventsMax, bytesMax: BATCH_BYTES_MAX, waitMs, signal });
    let failures = 0;
    let ahead: Promise<Delivery | undefined> | undefined;
    while (!signal.aborted) {
      let pauseMs = 0;
      try {
        const delivery = await (ahead ?? receive(RECEIVE_WAIT_MS));
        ahead = undefined;
        if (delivery === undefined) continue;
        const loading = this.#load(delivery);
        // While the sink works on a full batch, the next one is read; a failure hands both back.
        const full = isFull(delivery.lines, eventsMax);
        if (full) ahead = readAhead(loading, () => receive(0));
        // Its failure is met where it is awaited.
        ahead?.catch(() => undefined);
        await loading;
        if (!full) pauseMs = intervalMs;
        failures = 0;
      } catch (error) {
        failures += 1;
        (await ahead?.catch(() => undefined))?.nack();
        ahead = undefined;
        await this.#recover(error);
        pauseMs = backoffMs(failures);
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
    (await ahead?.catch(() => undefined))?.nack();
  }

  async #load(delivery: Delivery): Promise<void> {
    const startedMs = performance.now();
    const corrupt = delivery.damaged.map(({ reason, body }) => ({
      reason: 'corrupt' as const,
      detail: reason,
      body: body.toWellFormed(),
    }));
    try {
      const { result, deadLetters } = await this.#insert(delivery, corrupt);
      this.#options.observer.loaded(delivery, result, deadLetters, performance.now() - startedMs);
    } catch (error) {
      delivery.nack();
      throw error;
    }
    await delivery.ack();
  }

  async #insert(delivery: Delivery, corrupt: readonly DeadLetter[]) {
    const { sink, nowUs } = this.#options;
    const batch = {
      lines: delivery.lines,
      deadLetters: corrupt,
      position: delivery.position,
      nowUs: nowUs(),
    };
    try {
      return { result: await sink.insert(batch), deadLetters: corrupt };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'rejected') throw error;
      const rejected = new Map<EventLine, string>();
      const all = delivery.lines.toArray();
      await findRejected(sink, all, error.message, rejected);
      const lines = EventLines.of(all.filter((line) => !rejected.has(line)));
      const letters = [...rejected].map(([body, detail]) => ({ reason: 'rejected' as const, detail, body }));
      const deadLetters = [...corrupt, ...letters];
      return { result: await sink.insert({ ...batch, lines, deadLetters }), deadLetters };
    }
  }

  async #recover(error: unknown): Promise<void> {
    const { sink, observer } = this.#options;
    const failure =
      error instanceof StoreError ? error : new StoreError('unavailable', String(error), { cause: error });
    observer.failed(failure);
    if (failure.code !== 'closed' && failure.code !== 'corrupt') return;
    await sink.close().catch(() => undefined);
    await sink.open().catch((reason: unknown) => observer.failed(reason as StoreError));
  }
}

/** Whether more may wait behind a batch: it was ended by a limit and not for want of events. */
function isFull({ count, chunks }: EventLines, eventsMax: number): boolean {
  return count >= eventsMax || chunks.reduce((sum, chunk) => sum + chunk.length, 0) >= BATCH_BYTES_MAX;
}

/** How long a sink is left to itself before the next batch is read beside it, in milliseconds. */
const READ_AHEAD_AFTER_MS = 50;

/** Reads the next delivery once the sink is well under way; nothing when it ended before. */
async function readAhead(
  loading: Promise<void>,
  receive: () => Promise<Delivery | undefined>,
): Promise<Delivery | undefined> {
  const done = loading.then(
    () => true,
    () => true,
  );
  const ended = await Promise.race([done, sleep(READ_AHEAD_AFTER_MS, false)]);
  return ended ? undefined : receive();
}

function backoffMs(failures: number): number {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures - 1, 10));
}

/** Halves the lines until each rejected one is alone. At most two checks for each halving and rejected line. */
async function findRejected(
  sink: Sink,
  lines: readonly EventLine[],
  detail: string,
  found: Map<EventLine, string>,
): Promise<void> {
  if (lines.length === 1) {
    found.set(lines[0]!, detail);
    return;
  }
  const middle = Math.ceil(lines.length / 2);
  for (const half of [lines.slice(0, middle), lines.slice(middle)]) {
    try {
      await sink.check(EventLines.of(half));
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'rejected') throw error;
      await findRejected(sink, half, error.message, found);
    }
  }
}
