import type { DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement } from '@duckdb/node-api';
import { StoreError } from '../../event/store-error.ts';
import type { QueryOptions, Row, Statement } from '../contract.ts';
import { duckdbError } from './errors.ts';
import { rowsOf } from './rows.ts';

/** Queries that run at the same time; further ones wait in order. */
const RUNNING_MAX = 2;
/** Queries that may wait; beyond, a query fails with `unavailable`. */
const WAITING_MAX = 64;

/** Statements that a connection keeps prepared; planning takes longer than reading a rollup. */
const PREPARED_MAX = 32;

/** A connection and its prepared statements, by their text. */
interface Reader {
  readonly connection: DuckDBConnection;
  readonly prepared: Map<string, DuckDBPreparedStatement>;
}

/** Connections for queries: bounded concurrency, a fair queue, a deadline on every query. */
export class DuckdbReaders {
  readonly #instance: DuckDBInstance;
  readonly #idle: Reader[] = [];
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  async query(statement: Statement, options: QueryOptions): Promise<readonly Row[]> {
    const deadline = AbortSignal.timeout(options.timeoutMs);
    const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
    await this.#enter();
    try {
      if (signal.aborted) throw new StoreError('timeout', 'duckdb: the query waited too long for its turn');
      return await this.#run(statement, signal);
    } catch (error) {
      throw duckdbError(error);
    } finally {
      this.#leave();
    }
  }

  async #run(statement: Statement, signal: AbortSignal): Promise<readonly Row[]> {
    const reader = this.#idle.pop() ?? { connection: await this.#instance.connect(), prepared: new Map() };
    const interrupt = () => reader.connection.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    try {
      const prepared = await prepare(reader, statement.sql);
      prepared.bind({ ...statement.params });
      return rowsOf(await prepared.runAndReadAll());
    } finally {
      signal.removeEventListener('abort', interrupt);
      this.#idle.push(reader);
    }
  }

  async #enter(): Promise<void> {
    if (this.#running >= RUNNING_MAX) {
      if (this.#waiting.length >= WAITING_MAX) {
        throw new StoreError('unavailable', `duckdb: ${WAITING_MAX} queries are waiting already`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  close(): void {
    for (const { connection, prepared } of this.#idle.splice(0)) {
      for (const statement of prepared.values()) statement.destroySync();
      connection.closeSync();
    }
  }
}

async function prepare({ connection, prepared }: Reader, sql: string): Promise<DuckDBPreparedStatement> {
  const kept = prepared.get(sql);
  if (kept !== undefined) return kept;
  const [oldest] = prepared;
  if (oldest !== undefined && prepared.size >= PREPARED_MAX) {
    prepared.delete(oldest[0]);
    oldest[1].destroySync();
  }
  const made = await connection.prepare(sql);
  prepared.set(sql, made);
  return made;
}
