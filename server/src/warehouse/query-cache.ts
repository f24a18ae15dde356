import { StoreError } from '../event/store-error.ts';
import type { Row, Statement } from './contract.ts';

/** Results kept; the oldest gives way. */
const ENTRIES_MAX = 64;
/** Larger results are not kept. */
const ROWS_MAX = 10_000;

/** What a statement found. */
export interface Answer {
  readonly rows: readonly Row[];
  /**
   * Unix microseconds: every event acknowledged before is in the rows; where a transport delivers by itself, every event that it had
   * delivered before. Absent where that is not known.
   */
  readonly asOfUs?: number;
  /** What the rows were billed for, in bytes: nothing where they were kept. Absent where nothing is billed. */
  readonly bytesBilled?: number;
}

/** Runs the statement until the signal fires. */
type Run = (signal: AbortSignal) => Promise<Answer>;

interface Asker {
  readonly signal?: AbortSignal | undefined;
  /** How long the run may take. Whoever joins one has at least half of it left. */
  readonly timeoutMs?: number;
}

interface Entry {
  readonly answer: Promise<Answer>;
  /** On the monotonic clock, in milliseconds. */
  readonly madeAtMs: number;
  /** Until when the run may be joined, on the same clock; without end once it is over. */
  joinableUntilMs: number;
  /** Stops the run. */
  readonly stop: AbortController;
  /** Those who wait for the run. */
  askers: number;
}

/**
 * Results of statements, valid until the next insert, or for a while where inserts are not seen. Statements must depend on nothing but their parameters and
 * what is stored. The same statement asked for several times at once runs once, until it ends or all who asked are gone.
 */
export class QueryCache {
  readonly #entries = new Map<string, Entry>();
  readonly #keptMs: number;
  readonly #nowMs: () => number;

  constructor(keptMs = Infinity, nowMs: () => number = () => performance.now()) {
    this.#keptMs = keptMs;
    this.#nowMs = nowMs;
  }

  /** The kept result, or that of `run`. A failure is not kept. Rejects with `timeout` as soon as the asker's signal fires. */
  async get(statement: Statement, run: Run, { signal, timeoutMs = Infinity }: Asker = {}): Promise<Answer> {
    if (signal?.aborted === true) throw gone();
    const key = JSON.stringify([statement.sql, statement.params]);
    const kept = this.#entries.get(key);
    const nowMs = this.#nowMs();
    const fresh = kept !== undefined && nowMs - kept.madeAtMs < this.#keptMs && nowMs <= kept.joinableUntilMs;
    const entry = fresh ? kept : this.#start(key, run, timeoutMs);
    const leave = () => this.#leave(key, entry);
    entry.askers += 1;
    if (signal === undefined) return entry.answer;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        leave();
        reject(gone());
      };
      signal.addEventListener('abort', onAbort, { once: true });
      entry.answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  #start(key: string, run: Run, timeoutMs: number): Entry {
    this.#entries.delete(key);
    if (this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value!);
    const stop = new AbortController();
    const madeAtMs = this.#nowMs();
    const joinableUntilMs = madeAtMs + timeoutMs / 2;
    const entry = { answer: run(stop.signal), madeAtMs, joinableUntilMs, stop, askers: 0 };
    this.#entries.set(key, entry);
    entry.answer.then(
      ({ rows }) => this.#keep(key, entry, rows),
      () => this.#forget(key, entry),
    );
    return entry;
  }

  #keep(key: string, entry: Entry, rows: readonly Row[]): void {
    entry.joinableUntilMs = Infinity;
    if (rows.length > ROWS_MAX) this.#forget(key, entry);
  }

  /** An asker is gone before the run ended; the last one stops it, and nobody joins it any more. */
  #leave(key: string, entry: Entry): void {
    entry.askers -= 1;
    if (entry.askers > 0) return;
    this.#forget(key, entry);
    entry.stop.abort();
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  /** Call after every insert, before it is acknowledged. */
  clear(): void {
    this.#entries.clear();
  }
}

function gone(): StoreError {
  return new StoreError('timeout', 'nobody waits for the query any more');
}
