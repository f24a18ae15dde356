import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  DuckDBPendingResultState,
  type DuckDBConnection,
  type DuckDBResult,
  type DuckDBValue,
} from '@duckdb/node-api';
import type { EventLines } from '../../event/lines.ts';
import { StoreError } from '../../event/store-error.ts';
import type { InsertBatch, InsertResult } from '../contract.ts';
import { globOf, literal, stagePath } from './confine.ts';
import { rollupDeltas } from './rollups.ts';

/** The columns of `events` that come from a line, with the type each is read as. */
const LINE_COLUMNS = {
  event_id: 'VARCHAR',
  event_id_given: 'BOOLEAN',
  project: 'VARCHAR',
  received_at: 'BIGINT',
  event_time: 'BIGINT',
  event_name: 'VARCHAR',
  user_id: 'VARCHAR',
  session_id: 'VARCHAR',
  page: 'VARCHAR',
  country: 'VARCHAR',
  region: 'VARCHAR',
  city: 'VARCHAR',
  properties: 'JSON',
} as const;

/** Bytes handed to the file at a time, so that small chunks do not cost a system call each. */
const STAGE_BYTES = 256 * 1_024;

/**
 * Turns of the event loop without a task, while DuckDB's own threads have all that is left of a statement, before it is looked
 * at once a millisecond: most statements end sooner.
 */
const IDLE_TURNS = 100;

const NEWLINE = Buffer.from('\n');

/** Rows that the running transaction added have row numbers from here on; see `MAX_ROW_ID` in DuckDB's sources. */
const ADDED_FROM = 36_028_797_018_960_000n;
const ADDED = `rowid >= ${ADDED_FROM}`;

/**
 * The lines of the file → rows of `events`, in their order. Straight into the table: passing through a temporary one
 * took twice the time. Throws DuckDB's error when a line is not as it must be.
 */
function appendSql(path: string): string {
  const columns = Object.entries(LINE_COLUMNS).map(([name, type]) => `${name}: '${type}'`);
  return `
INSERT INTO events BY NAME
SELECT event_id, coalesce(event_id_given, true) AS event_id_given, hash(event_id) AS event_hash, project,
  make_timestamp(received_at) AS received_at, make_timestamp(event_time) AS event_time, event_name, user_id,
  session_id, page, country, region, city, properties
FROM read_json(${literal(globOf(path))}, format = 'newline_delimited', compression = 'uncompressed', columns = {${columns.join(', ')}})`;
}

/** What rollups and the search for duplicates need of the added rows. */
const FRESH = `
CREATE OR REPLACE TEMP TABLE fresh AS
SELECT project, event_hash, event_id_given, user_id, session_id, event_time FROM events WHERE ${ADDED}`;

/** Fewer hashes than ids: some of the batch may be there twice. */
const COUNT = `
SELECT count(*) FILTER (event_id_given), count(DISTINCT event_hash) FILTER (event_id_given) FROM fresh`;

/** Ids of the batch whose hash is stored already; almost always none. */
const SUSPECTS = `
CREATE OR REPLACE TEMP TABLE suspects AS
SELECT DISTINCT event_hash FROM (SELECT event_hash FROM fresh WHERE event_id_given)
SEMI JOIN (SELECT event_hash FROM events WHERE rowid < ${ADDED_FROM}) USING (event_hash)`;

const KNOWN = `
CREATE OR REPLACE TEMP TABLE known AS
SELECT project, event_id FROM events SEMI JOIN suspects USING (event_hash) WHERE rowid < ${ADDED_FROM}`;

/** Added rows that repeat an id of the batch; the first stays. */
const REPEATED = `
DELETE FROM events WHERE ${ADDED} AND event_id_given AND rowid NOT IN
  (SELECT min(rowid) FROM events WHERE ${ADDED} AND event_id_given GROUP BY project, event_id)`;

/** Added rows whose id was stored before. */
const STORED = `
DELETE FROM events WHERE ${ADDED} AND event_id_given AND (project, event_id) IN
  (SELECT (project, event_id) FROM known)`;

/**
 * Runs one batch inside a transaction that the caller opens and ends. The lines go through a file: DuckDB's reader of JSON files
 * is faster than anything that goes through parameters.
 */
export class DuckdbInsert {
  readonly #connection: DuckDBConnection;
  readonly #deltas: readonly string[];
  readonly #stagePath: string;
  readonly #append: string;

  constructor(connection: DuckDBConnection, directory: string, timezone: string) {
    this.#connection = connection;
    this.#deltas = rollupDeltas(timezone);
    this.#stagePath = stagePath(directory);
    this.#append = appendSql(this.#stagePath);
  }

  async run(batch: InsertBatch): Promise<InsertResult> {
    if (!(await this.#advance(batch))) return { inserted: 0, duplicates: batch.lines.count };
    for (const letter of batch.deadLetters) {
      await this.#run(
        'INSERT INTO dead_letters VALUES (make_timestamp($now::BIGINT), $reason, $detail, $body)',
        { now: BigInt(batch.nowUs), reason: letter.reason, detail: letter.detail, body: letter.body },
      );
    }
    if (batch.lines.count === 0) return { inserted: 0, duplicates: 0 };
    const added = await this.#addLines(batch.lines);
    // DuckDB passes over blank lines; every line must be accounted for.
    if (added !== batch.lines.count)
      throw new StoreError('rejected', `duckdb: ${batch.lines.count} lines hold ${added} events`);
    await this.#run(FRESH);
    const duplicates = await this.#dropDuplicates();
    if (duplicates > 0) await this.#run(FRESH);
    if (duplicates < added) for (const sql of this.#deltas) await this.#run(sql);
    return { inserted: added - duplicates, duplicates };
  }

  async #addLines(lines: EventLines): Promise<number> {
    try {
      this.#writeLines(lines);
      return await this.#change(this.#append);
    } finally {
      rmSync(this.#stagePath, { force: true });
    }
  }

  #writeLines(lines: EventLines): void {
    // A new file: what a kill has left is removed, and a link in its place is not followed.
    rmSync(this.#stagePath, { force: true });
    const file = openSync(this.#stagePath, 'wx', 0o600);
    try {
      let parts: Uint8Array[] = [];
      let bytes = 0;
      for (const chunk of lines.chunks) {
        parts.push(chunk, NEWLINE);
        bytes += chunk.length + 1;
        if (bytes < STAGE_BYTES) continue;
        writeAll(file, parts, bytes);
        parts = [];
        bytes = 0;
      }
      writeAll(file, parts, bytes);
    } finally {
      closeSync(file);
    }
  }

  /** Raises the source's position; false when the batch is stored already. */
  async #advance({ position }: InsertBatch): Promise<boolean> {
    const values = { source: position.source, end: BigInt(position.end) };
    const raise = 'UPDATE positions SET "end" = $end WHERE source = $source AND "end" < $end';
    if ((await this.#change(raise, values)) > 0) return true;
    const add = `INSERT INTO positions SELECT $source, $end WHERE $source NOT IN (SELECT source FROM positions)`;
    return (await this.#change(add, values)) > 0;
  }

  /** Takes out of the added rows those whose id is there twice, or was stored before. Returns how many. */
  async #dropDuplicates(): Promise<number> {
    const [given = 0, hashes = 0] = await this.#numbers(COUNT);
    let dropped = 0;
    if (given > hashes) dropped += await this.#change(REPEATED);
    if (given > 0 && (await this.#findKnown())) dropped += await this.#change(STORED);
    return dropped;
  }

  async #findKnown(): Promise<boolean> {
    await this.#run(SUSPECTS);
    const [suspects] = await this.#numbers('SELECT count(*) FROM suspects');
    if (suspects === 0) return false;
    await this.#run(KNOWN);
    return true;
  }

  async #numbers(sql: string): Promise<number[]> {
    return (await this.#connection.runAndReadAll(sql)).getRows()[0]!.map(Number);
  }

  /** Runs a statement; the number of rows that it changed. */
  async #change(sql: string, values?: Record<string, DuckDBValue>): Promise<number> {
    return (await this.#run(sql, values)).rowsChanged;
  }

  /**
   * Runs a statement on this thread, task by task, so that it has this thread's priority: Node's thread pool, where statements
   * run otherwise, works against the HTTP thread as its equal. In between, other calls have their turn.
   */
  async #run(sql: string, values?: Record<string, DuckDBValue>): Promise<DuckDBResult> {
    const pending = await this.#connection.start(sql, values);
    for (let idle = 0; ;) {
      const state = pending.runTask();
      if (state === DuckDBPendingResultState.RESULT_READY) return pending.getResult();
      idle = state === DuckDBPendingResultState.NO_TASKS_AVAILABLE ? idle + 1 : 0;
      await (idle > IDLE_TURNS ? sleep(1) : nextTurn());
    }
  }
}

/** Writes all parts; the system may take fewer bytes at a time than it is given. */
function writeAll(file: number, parts: readonly Uint8Array[], bytes: number): void {
  const block = Buffer.concat(parts, bytes);
  for (let from = 0; from < bytes;) from += writeSync(file, block, from);
}
