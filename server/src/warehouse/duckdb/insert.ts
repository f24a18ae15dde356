import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import type { EventLine } from '../../event/line.ts';
import { StoreError } from '../../event/store-error.ts';
import type { InsertBatch, InsertResult } from '../contract.ts';
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

/** The batch on its way to DuckDB, whose reader of JSON files is faster than anything that goes through parameters. */
const STAGE_FILE = 'loading.ndjson';

/** Lines written at a time, so that a batch is never in memory twice. */
const STAGE_LINES = 2_000;

/** The lines of the file → the temporary table `fresh`. Throws DuckDB's error when one is not as it must be. */
function stageSql(path: string): string {
  const columns = Object.entries(LINE_COLUMNS).map(([name, type]) => `${name}: '${type}'`);
  // The path is a glob pattern and a literal.
  const file = path.replaceAll(/[[*?]/g, '[$&]').replaceAll("'", "''");
  return `
CREATE OR REPLACE TEMP TABLE fresh AS
SELECT event_id, coalesce(event_id_given, true) AS given, md5_number_lower(event_id) AS event_hash, project,
  make_timestamp(received_at) AS received_at, make_timestamp(event_time) AS event_time, event_name, user_id,
  session_id, page, country, region, city, properties
FROM read_json('${file}', format = 'newline_delimited', compression = 'uncompressed', columns = {${columns.join(', ')}})`;
}

const COUNT = `
SELECT count(*) AS total, count(*) FILTER (given) AS given, count(DISTINCT (project, event_id)) FILTER (given) AS ids
FROM fresh`;

/** Ids of the batch whose hash is stored already; almost always none. */
const SUSPECTS = `
CREATE OR REPLACE TEMP TABLE suspects AS
SELECT DISTINCT event_hash FROM fresh SEMI JOIN events USING (event_hash) WHERE given`;

const KNOWN = `
CREATE OR REPLACE TEMP TABLE known AS
SELECT e.project, e.event_id FROM events e SEMI JOIN suspects USING (event_hash)`;

/** Rows of the batch that repeat an id of the batch; the first stays. */
const REPEATED = `
DELETE FROM fresh WHERE given AND rowid NOT IN
  (SELECT min(rowid) FROM fresh WHERE given GROUP BY project, event_id)`;

/** Rows of the batch whose id is stored. */
const STORED = `
DELETE FROM fresh WHERE given AND (project, event_id) IN (SELECT (project, event_id) FROM known)`;

const EVENT_COLUMNS = `event_id, event_hash, project, received_at, event_time, event_name, user_id, session_id,
  page, country, region, city, properties`;

const APPEND = `INSERT INTO events (${EVENT_COLUMNS}) SELECT ${EVENT_COLUMNS} FROM fresh`;

/** Runs one batch inside a transaction that the caller opens and ends. */
export class DuckdbInsert {
  readonly #connection: DuckDBConnection;
  readonly #deltas: readonly string[];
  readonly #stagePath: string;
  readonly #stage: string;

  constructor(connection: DuckDBConnection, directory: string, timezone: string) {
    this.#connection = connection;
    this.#deltas = rollupDeltas(timezone);
    this.#stagePath = join(directory, STAGE_FILE);
    this.#stage = stageSql(this.#stagePath);
  }

  async run(batch: InsertBatch): Promise<InsertResult> {
    if (!(await this.#advance(batch))) return { inserted: 0, duplicates: batch.lines.length };
    for (const letter of batch.deadLetters) {
      await this.#run(
        'INSERT INTO dead_letters VALUES (make_timestamp($now::BIGINT), $reason, $detail, $body)',
        { now: BigInt(batch.nowUs), reason: letter.reason, detail: letter.detail, body: letter.body },
      );
    }
    if (batch.lines.length === 0) return { inserted: 0, duplicates: 0 };
    try {
      this.#writeLines(batch.lines);
      await this.#run(this.#stage);
    } finally {
      rmSync(this.#stagePath, { force: true });
    }
    const inserted = await this.#pickFresh(batch.lines.length);
    if (inserted > 0) {
      await this.#run(APPEND);
      for (const sql of this.#deltas) await this.#run(sql);
    }
    return { inserted, duplicates: batch.lines.length - inserted };
  }

  #writeLines(lines: readonly EventLine[]): void {
    const file = openSync(this.#stagePath, 'w', 0o600);
    try {
      for (let from = 0; from < lines.length; from += STAGE_LINES) {
        writeFileSync(file, `${lines.slice(from, from + STAGE_LINES).join('\n')}\n`);
      }
    } finally {
      closeSync(file);
    }
  }

  /** Raises the source's position; false when the batch is stored already. */
  async #advance({ position }: InsertBatch): Promise<boolean> {
    const values = { source: position.source, end: BigInt(position.end) };
    const reader = await this.#connection.runAndReadAll(
      'SELECT "end" FROM positions WHERE source = $source',
      { source: position.source },
    );
    const stored = reader.getRows()[0]?.[0];
    if (stored === undefined) {
      await this.#run('INSERT INTO positions VALUES ($source, $end)', values);
      return true;
    }
    if (Number(stored) >= position.end) return false;
    await this.#run('UPDATE positions SET "end" = $end WHERE source = $source', values);
    return true;
  }

  /** Leaves in `fresh` the first event of each id that is not stored yet. Returns how many. */
  async #pickFresh(lines: number): Promise<number> {
    const counts = (await this.#connection.runAndReadAll(COUNT)).getRows()[0]!.map(Number);
    const [total = 0, given = 0, ids = 0] = counts;
    // DuckDB passes over blank lines; every line must be accounted for.
    if (total !== lines) throw new StoreError('rejected', `duckdb: ${lines} lines hold ${total} events`);
    let duplicates = 0;
    if (given > ids) duplicates += await this.#delete(REPEATED);
    if (given > 0 && (await this.#findKnown())) duplicates += await this.#delete(STORED);
    return total - duplicates;
  }

  async #findKnown(): Promise<boolean> {
    await this.#run(SUSPECTS);
    const reader = await this.#connection.runAndReadAll('SELECT count(*) FROM suspects');
    if (Number(reader.getRows()[0]![0]) === 0) return false;
    await this.#run(KNOWN);
    return true;
  }

  async #delete(sql: string): Promise<number> {
    return (await this.#connection.run(sql)).rowsChanged;
  }

  async #run(sql: string, values?: Record<string, DuckDBValue>): Promise<void> {
    await this.#connection.run(sql, values);
  }
}
