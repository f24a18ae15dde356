import type { Row, Statement } from './contract.ts';

/** Results kept; the oldest gives way. */
const ENTRIES_MAX = 64;
/** Larger results are not kept. */
const ROWS_MAX = 10_000;

interface Entry {
  readonly result: Promise<readonly Row[]>;
  /** On the monotonic clock, in milliseconds. */
  readonly madeAtMs: number;
}

/**
 * Results of statements, valid until the next insert, or for a while where inserts are not seen. Statements must depend on nothing but their parameters and
 * what is stored. The same statement asked for several times at once runs once.
 */
export class QueryCache {
  readonly #entries = new Map<string, Entry>();
  readonly #keptMs: number;
  readonly #nowMs: () => number;

  constructor(keptMs = Infinity, nowMs: () => number = () => performance.now()) {
    this.#keptMs = keptMs;
    this.#nowMs = nowMs;
  }

  /** The kept result, or that of `run`. A failure is not kept. */
  async get(statement: Statement, run: () => Promise<readonly Row[]>): Promise<readonly Row[]> {
    const key = JSON.stringify([statement.sql, statement.params]);
    const kept = this.#entries.get(key);
    const madeAtMs = this.#nowMs();
    if (kept !== undefined && madeAtMs - kept.madeAtMs < this.#keptMs) return kept.result;
    this.#entries.delete(key);
    const result = run();
    if (this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value!);
    this.#entries.set(key, { result, madeAtMs });
    const forget = () => {
      if (this.#entries.get(key)?.result === result) this.#entries.delete(key);
    };
    try {
      const rows = await result;
      if (rows.length > ROWS_MAX) forget();
      return rows;
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** Call after every insert, before it is acknowledged. */
  clear(): void {
    this.#entries.clear();
  }
}
