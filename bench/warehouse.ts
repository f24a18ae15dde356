import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { DUCKDB_FILE } from '../server/src/warehouse/duckdb/open-file.ts';
import { DuckdbWarehouse } from '../server/src/warehouse/duckdb/warehouse.ts';
import { rollupQueries } from '../server/src/warehouse/duckdb/rollups.ts';

/** DuckDB's memory, in bytes, while a file is made and while the plain SQL runs: the product's default. */
export const MEMORY_BYTES_MAX = 1_024 ** 3;
export const THREADS = 2;
/** The days that the file holds; the last one is today. */
export const DAYS = 90;

/** Sessions of 8 events, 10 of them beside each other, in time order; a user has 2.5 sessions on average. */
function eventsSql(events: number, users: number): string {
  return `
INSERT INTO events (event_id, event_hash, project, received_at, event_time, event_name, user_id, session_id, page,
  country, region, city, properties)
SELECT id, hash(id), 'default', moment + INTERVAL 1 SECOND, moment,
  ['page_view', 'click', 'scroll', 'search'][1 + i % 4],
  'user-' || hash(session) % ${users}, 'session-' || session,
  ['/', '/pricing', '/docs', '/account'][1 + (hash(i) % 4)::BIGINT], ['FI', 'SE', 'DE', 'US'][1 + session % 4], NULL, NULL,
  '{"plan":"team","width":' || (1280 + i % 640) || '}'
FROM (
  SELECT i, md5(i::VARCHAR) AS id, (i // 80) * 10 + i % 10 AS session,
    make_timestamp(epoch_us(now()) - CAST((${events} - i) * (${DAYS - 1} * 86400e6 / ${events}) AS BIGINT)) AS moment
  FROM range(${events}) AS range(i)
)`;
}

/** The four metrics from the rows alone: what the daily report says, without rollups. */
export const PLAIN_SQL = `
WITH users AS (SELECT user_id, min(event_time) AS first_seen_at FROM events WHERE project = 'default' GROUP BY ALL),
sessions AS (
  SELECT session_id, min(event_time) AS started_at, max(event_time) AS ended_at
  FROM events WHERE project = 'default' GROUP BY ALL
),
active AS (
  SELECT CAST(event_time AS DATE) AS day, count(DISTINCT user_id) AS active_users
  FROM events WHERE project = 'default' GROUP BY ALL
),
fresh AS (SELECT CAST(first_seen_at AS DATE) AS day, count(*) AS new_users FROM users GROUP BY ALL),
started AS (
  SELECT CAST(started_at AS DATE) AS day, avg(date_diff('microseconds', started_at, ended_at)) / 1e6 AS seconds
  FROM sessions GROUP BY ALL
)
SELECT (SELECT count(*) FROM users) AS total_users, day, active_users, new_users, seconds
FROM active LEFT JOIN fresh USING (day) LEFT JOIN started USING (day) ORDER BY day DESC`;

/** DuckDB on the file, with the settings of the product. */
export async function withFile<T>(
  directory: string,
  work: (run: (sql: string) => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const instance = await DuckDBInstance.create(join(directory, DUCKDB_FILE), {
    threads: String(THREADS),
    memory_limit: `${MEMORY_BYTES_MAX / 1_024}KiB`,
    temp_directory: join(directory, 'spill'),
  });
  const connection = await instance.connect();
  try {
    return await work((sql) => connection.runAndReadAll(sql));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Makes a data directory whose warehouse holds so many events, with its rollups; users are a twentieth of them. */
export async function makeFile(directory: string, events: number): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const options = { directory, timezone: 'UTC', memoryBytesMax: MEMORY_BYTES_MAX, threads: THREADS };
  const warehouse = new DuckdbWarehouse(options);
  await warehouse.open();
  await warehouse.close();
  await withFile(directory, async (run) => {
    await run(eventsSql(events, events / 20));
    for (const [table, query] of rollupQueries('UTC')) await run(`INSERT INTO ${table} ${query}`);
    await run('CHECKPOINT');
  });
}
