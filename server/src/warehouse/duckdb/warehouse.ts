import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { EventLines } from '../../event/lines.ts';
import type { Position } from '../../event/position.ts';
import { StoreError } from '../../event/store-error.ts';
import type {
  ExportSlice,
  InsertBatch,
  InsertResult,
  QueryOptions,
  RollupFault,
  Row,
  Statement,
  Warehouse,
} from '../contract.ts';
import { SPILL_DIRECTORY } from './confine.ts';
import { copyLockedFile } from './copy-file.ts';
import { duckdbDialect } from './dialect.ts';
import { duckdbError } from './errors.ts';
import { exportSql } from './export.ts';
import { clearExports, prepareExport } from './exports-directory.ts';
import { DuckdbInsert } from './insert.ts';
import { migrate } from './migrate.ts';
import { DUCKDB_FILE, openFile } from './open-file.ts';
import { readPositions } from './positions.ts';
import { DuckdbReaders } from './readers.ts';
import { rollupQueries, timezoneLiteral } from './rollups.ts';
import { duckdbSupports } from './supports.ts';
import { dayStartsSql, timezoneFiles } from './timezones.ts';

export interface DuckdbWarehouseOptions {
  readonly directory: string;
  /** Reporting timezone, an IANA name. When it changes, `open` makes the rollups anew. */
  readonly timezone: string;
  readonly memoryBytesMax: number;
  readonly threads: number;
  /** How long a backup waits for statements in its way, in milliseconds. Default: 30,000. */
  readonly checkpointMsMax?: number;
  /** Wraps the writing connection; lets tests make the N-th call fail. */
  readonly wrapConnection?: (connection: DuckDBConnection) => DuckDBConnection;
}

/** The log is written into the file when it is longer than this, so that a start never replays much. */
const WAL_BYTES_MAX = 16 * 1_024 * 1_024;

/** How long a backup tries to write the log into the file, and how often, in milliseconds. */
const CHECKPOINT_MS_MAX = 30_000;
const CHECKPOINT_RETRY_MS = 50;

/** Values of DuckDB's hash for texts of every size; they tell whether it is still the one that the file was written with. */
const HASH_PROBE = `
SELECT string_agg(CAST(hash(text) AS VARCHAR), ' ' ORDER BY length(text))
FROM (VALUES ('a'), ('twelve chars'), ('thirteen char'), (repeat('0123456789', 4)), (repeat('ä', 200))) AS probes(text)`;

interface Opened {
  readonly instance: DuckDBInstance;
  readonly writer: DuckDBConnection;
  readonly insert: DuckdbInsert;
  readonly readers: DuckdbReaders;
}

/**
 * DuckDB in one file, which it reaches alone (`confine.ts`), holding our own tables alone (`catalogue.ts`). Must live on one thread of one process: every insert and query comes through here.
 * Rows, rollups and position are written in one transaction.
 */
export class DuckdbWarehouse implements Warehouse {
  readonly name = 'duckdb';
  readonly dialect = duckdbDialect;
  readonly supports = duckdbSupports;
  readonly #options: DuckdbWarehouseOptions;
  #opened: Opened | undefined;
  /** The writing connection serves one user at a time; this is the last one's end. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DuckdbWarehouseOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { directory, timezone, memoryBytesMax, threads, wrapConnection } = this.#options;
    let instance: DuckDBInstance | undefined;
    try {
      const file = await openFile(directory, {
        threads: String(threads),
        memory_limit: `${Math.floor(memoryBytesMax / 1_024)}KiB`,
        checkpoint_threshold: `${WAL_BYTES_MAX}B`,
        temp_directory: join(directory, SPILL_DIRECTORY),
      });
      instance = file.instance;
      const writer = wrapConnection?.(file.connection) ?? file.connection;
      clearExports(directory);
      await migrate(writer);
      const insert = new DuckdbInsert(writer, directory, timezone);
      this.#opened = { instance, writer, insert, readers: new DuckdbReaders(instance) };
      await this.#keepSettings(writer);
    } catch (error) {
      if (this.#opened === undefined) instance?.closeSync();
      await this.close();
      throw duckdbError(error);
    }
  }

  /** What the file was made with; where that is another now, what depends on it is made anew. */
  async #keepSettings(writer: DuckDBConnection): Promise<void> {
    const reader = await writer.runAndReadAll(HASH_PROBE);
    if (!(await this.#cutsDaysByOlderData(writer)))
      await this.#keepSetting(writer, 'timezone', await this.#dayStarts(writer), () => this.#rebuild(writer));
    await this.#keepSetting(writer, 'event_hash', String(reader.getRows()[0]![0]), async () => {
      await writer.run('UPDATE events SET event_hash = hash(event_id)');
    });
  }

  /** The rollups are right by newer data: they are not made anew only because those are missing today. */
  async #cutsDaysByOlderData(writer: DuckDBConnection): Promise<boolean> {
    if ('variables' in timezoneFiles(this.#options.directory)) return false;
    const reader = await writer.runAndReadAll(`SELECT value FROM settings WHERE name = 'timezone'`);
    return String(reader.getRows()[0]?.[0]).split(' ')[0] === this.#options.timezone;
  }

  /** The timezone and, because its rules change, when its days begin. */
  async #dayStarts(writer: DuckDBConnection): Promise<string> {
    const { timezone } = this.#options;
    if (timezone === 'UTC') return timezone;
    const reader = await writer.runAndReadAll(dayStartsSql(timezoneLiteral(timezone)));
    return `${timezone} ${String(reader.getRows()[0]![0])}`;
  }

  async #keepSetting(
    writer: DuckDBConnection,
    name: string,
    value: string,
    remake: () => Promise<void>,
  ): Promise<void> {
    const reader = await writer.runAndReadAll('SELECT value FROM settings WHERE name = $name', { name });
    if (reader.getRows()[0]?.[0] === value) return;
    await this.#transaction(writer, async () => {
      await remake();
      await writer.run('DELETE FROM settings WHERE name = $name', { name });
      await writer.run('INSERT INTO settings VALUES ($name, $value)', { name, value });
    });
  }

  async #rebuild(writer: DuckDBConnection): Promise<void> {
    for (const [table, query] of rollupQueries(this.#options.timezone)) {
      await writer.run(`DELETE FROM ${table}`);
      await writer.run(`INSERT INTO ${table} ${query}`);
    }
  }

  positions(): Promise<readonly Position[]> {
    return this.#exclusively(({ writer }) => readPositions(writer));
  }

  insert(batch: InsertBatch): Promise<InsertResult> {
    return this.#exclusively(({ writer, insert }) => this.#transaction(writer, () => insert.run(batch)));
  }

  check(lines: EventLines): Promise<void> {
    const position = { source: 'check', end: 1 };
    return this.#exclusively(async ({ writer, insert }) => {
      await writer.run('BEGIN');
      try {
        await insert.run({ lines, deadLetters: [], position, nowUs: 0 });
      } finally {
        await writer.run('ROLLBACK').catch(() => undefined);
      }
    });
  }

  async query(statement: Statement, options: QueryOptions): Promise<readonly Row[]> {
    return this.#use().readers.query(statement, options);
  }

  verify(): Promise<readonly RollupFault[]> {
    return this.#exclusively(({ writer }) =>
      this.#transaction(writer, async () => {
        const faults: RollupFault[] = [];
        for (const [rollup, query] of rollupQueries(this.#options.timezone)) {
          const rows = await differingRows(writer, rollup, query);
          if (rows > 0) faults.push({ rollup, rows });
        }
        return faults;
      }),
    );
  }

  /** A statement that reads may keep the log from being written into the file: tries again, and inserts go on in between. */
  async backup(directory: string): Promise<void> {
    const { checkpointMsMax = CHECKPOINT_MS_MAX } = this.#options;
    const deadlineMs = performance.now() + checkpointMsMax;
    while (!(await this.#exclusively(({ writer }) => this.#copyTo(directory, writer)))) {
      if (performance.now() > deadlineMs) {
        const text = `queries kept the log from being written into the file for ${checkpointMsMax} ms: try again`;
        throw new StoreError('busy', `duckdb: ${text}`);
      }
      await sleep(CHECKPOINT_RETRY_MS);
    }
  }

  /** False, with nothing copied, while a statement is in the way of the checkpoint. */
  async #copyTo(directory: string, writer: DuckDBConnection): Promise<boolean> {
    try {
      await writer.run('CHECKPOINT');
    } catch (error) {
      if (/Cannot CHECKPOINT/.test((error as Error).message)) return false;
      throw error;
    }
    await mkdir(directory, { recursive: true });
    await copyLockedFile(join(this.#options.directory, DUCKDB_FILE), join(directory, DUCKDB_FILE));
    return true;
  }

  async exportTo(slice: ExportSlice, { signal }: Pick<QueryOptions, 'signal'> = {}): Promise<void> {
    const { directory, timezone } = this.#options;
    const { readers } = this.#use();
    const path = prepareExport(directory, slice.path);
    try {
      await readers.run(exportSql({ ...slice, path }, timezone), signal);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    await this.#turn.catch(() => undefined);
    await opened.readers.close();
    await opened.writer.run('CHECKPOINT').catch(() => undefined);
    opened.writer.closeSync();
    opened.instance.closeSync();
  }

  #use(): Opened {
    if (this.#opened === undefined) throw new StoreError('closed', 'duckdb: not open');
    return this.#opened;
  }

  /** Waits for its turn on the writing connection. */
  #exclusively<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
    const run = this.#turn.then(async () => {
      try {
        return await work(this.#use());
      } catch (error) {
        throw duckdbError(error);
      }
    });
    this.#turn = run.catch(() => undefined);
    return run;
  }

  async #transaction<T>(writer: DuckDBConnection, work: () => Promise<T>): Promise<T> {
    await writer.run('BEGIN');
    try {
      const result = await work();
      await writer.run('COMMIT');
      return result;
    } catch (error) {
      // After a failed COMMIT there is nothing to roll back; the first error is the one that counts.
      await writer.run('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }
}

/** Counts the rows in which a rollup and its query differ, either way, repeated rows included. */
async function differingRows(writer: DuckDBConnection, rollup: string, query: string): Promise<number> {
  const reader = await writer.runAndReadAll(`
    WITH expected AS (${query}), actual AS (SELECT * FROM ${rollup})
    SELECT (SELECT count(*) FROM (FROM expected EXCEPT ALL FROM actual))
      + (SELECT count(*) FROM (FROM actual EXCEPT ALL FROM expected))`);
  return Number(reader.getRows()[0]![0]);
}
