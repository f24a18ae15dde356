import type { DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement } from '@duckdb/node-api';
import { StoreError } from '../../event/store-error.ts';
import type { QueryOptions, Row, Statement } from '../contract.ts';
import { duckdbError } from './errors.ts';
import { rowsOf } from './rows.ts';

/** Connections that are kept for the next query. */
const IDLE_MAX = 4;

/** Statements that a connection keeps prepared; planning takes longer than reading a rollup. */
const PREPARED_MAX = 32;

/** How often a statement that shall stop is told so, in milliseconds. */
const INTERRUPT_MS = 10;

/** A connection and its prepared statements, by their text. */
interface Reader {
  readonly connection: DuckDBConnection;
  readonly prepared: Map<string, DuckDBPreparedStatement>;
}

type Work<T> = (reader: Reader, signal: AbortSignal) => Promise<T>;

/** Connections for queries: each statement has one to itself, and is stopped there. */
export class DuckdbReaders {
  readonly #instance: DuckDBInstance;
  readonly #idle: Reader[] = [];
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  query(statement: Statement, options: QueryOptions): Promise<readonly Row[]> {
    const deadline = AbortSignal.timeout(options.timeoutMs);
    const signals = options.signal === undefined ? [deadline] : [deadline, options.signal];
    return this.#use(signals, async (reader, signal) => {
      const prepared = await prepare(reader, statement.sql);
      throwIfStopped(signal);
      prepared.bind({ ...statement.params });
      return rowsOf(await prepared.runAndReadAll());
    });
  }

  /** Runs a statement that may take any time, as an export does. */
  async run(sql: string, signal?: AbortSignal): Promise<void> {
    await this.#use(signal === undefined ? [] : [signal], ({ connection }) => connection.run(sql));
  }

  #use<T>(signals: readonly AbortSignal[], work: Work<T>): Promise<T> {
    const running = this.#run(AbortSignal.any([this.#closing.signal, ...signals]), work);
    this.#running.add(running);
    const forget = () => this.#running.delete(running);
    running.then(forget, forget);
    return running;
  }

  async #run<T>(signal: AbortSignal, work: Work<T>): Promise<T> {
    try {
      throwIfStopped(signal);
      const reader = this.#idle.pop() ?? { connection: await this.#instance.connect(), prepared: new Map() };
      const settled = interruptWhen(signal, reader.connection);
      try {
        throwIfStopped(signal);
        return await work(reader, signal);
      } finally {
        settled();
        this.#putBack(reader);
      }
    } catch (error) {
      throw duckdbError(error);
    }
  }

  #putBack(reader: Reader): void {
    if (this.#idle.length < IDLE_MAX && !this.#closing.signal.aborted) this.#idle.push(reader);
    else closeReader(reader);
  }

  /** Stops the statements that run, and closes their connections. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
    for (const reader of this.#idle.splice(0)) closeReader(reader);
  }
}

/**
 * Interrupts what the connection runs once the signal fires, and again until it has settled: DuckDB forgets an
 * interrupt that comes before a statement begins. Call what is returned when the statement has settled.
 */
function interruptWhen(signal: AbortSignal, connection: DuckDBConnection): () => void {
  let again: NodeJS.Timeout | undefined;
  const interrupt = () => {
    connection.interrupt();
    again = setInterval(() => connection.interrupt(), INTERRUPT_MS);
  };
  signal.addEventListener('abort', interrupt, { once: true });
  return () => {
    signal.removeEventListener('abort', interrupt);
    clearInterval(again);
  };
}

function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw new StoreError('timeout', 'duckdb: the query was stopped before it began');
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

function closeReader({ connection, prepared }: Reader): void {
  for (const statement of prepared.values()) statement.destroySync();
  connection.closeSync();
}
