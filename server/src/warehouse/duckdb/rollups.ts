import { dayOf } from './dialect.ts';

/**
 * The rollups, each said once as a query over the rows (what they must hold) and, in `rollupDeltas`, as what a
 * batch of new rows changes (how they are kept). `verify` compares the two.
 */

/** A timezone as an SQL string literal; IANA names are checked before they come here. */
export function timezoneLiteral(timezone: string): string {
  if (!/^[A-Za-z0-9_+\-/]+$/.test(timezone)) throw new Error(`not a timezone name: ${timezone}`);
  return `'${timezone}'`;
}

/** The calendar day of a timestamp column in the reporting timezone. */
function reportingDay(column: string, timezone: string): string {
  return timezone === 'UTC' ? `CAST(${column} AS DATE)` : dayOf(column, timezoneLiteral(timezone));
}

/** Name → the query that makes it from `events`, in the order in which they depend on each other. */
export function rollupQueries(timezone: string): ReadonlyMap<string, string> {
  const day = (column: string) => reportingDay(column, timezone);
  return new Map([
    ['users', `SELECT project, user_id, min(event_time) AS first_seen_at FROM events GROUP BY ALL`],
    [
      'sessions',
      `SELECT project, session_id, min(event_time) AS started_at, max(event_time) AS ended_at
       FROM events GROUP BY ALL`,
    ],
    ['user_days', `SELECT DISTINCT project, ${day('event_time')} AS day, user_id FROM events`],
    [
      'daily',
      `SELECT project, day, CAST(sum(active) AS BIGINT) AS active_users, CAST(sum(new) AS BIGINT) AS new_users,
         CAST(sum(session) AS BIGINT) AS sessions, CAST(sum(us) AS BIGINT) AS session_duration_us
       FROM (
         SELECT project, day, 1 AS active, 0 AS new, 0 AS session, 0::BIGINT AS us FROM user_days
         UNION ALL SELECT project, ${day('first_seen_at')}, 0, 1, 0, 0 FROM users
         UNION ALL SELECT project, ${day('started_at')}, 0, 0, 1,
           date_diff('microseconds', started_at, ended_at) FROM sessions
       ) GROUP BY ALL`,
    ],
  ]);
}

/**
 * Statements that bring every rollup up to date with the rows in the temporary table `fresh`, which are new
 * and about to be (or just were) added to `events`. They read the rollups by joining from the large side to
 * the small one, so that DuckDB can skip what the batch cannot match.
 */
export function rollupDeltas(timezone: string): readonly string[] {
  const day = (column: string) => reportingDay(column, timezone);
  return [
    ...changedKeys({
      table: 'users',
      key: 'user_id',
      columns: { first_seen_at: 'min' },
    }),
    ...changedKeys({
      table: 'sessions',
      key: 'session_id',
      columns: { started_at: 'min', ended_at: 'max' },
    }),
    `CREATE OR REPLACE TEMP TABLE user_days_batch AS
       SELECT DISTINCT project, ${day('event_time')} AS day, user_id FROM fresh`,
    `CREATE OR REPLACE TEMP TABLE user_days_old AS
       SELECT d.* FROM user_days d JOIN user_days_batch b USING (project, day, user_id)
       WHERE d.day BETWEEN (SELECT min(day) FROM user_days_batch) AND (SELECT max(day) FROM user_days_batch)`,
    `CREATE OR REPLACE TEMP TABLE user_days_new AS
       SELECT * FROM user_days_batch ANTI JOIN user_days_old USING (project, day, user_id)`,
    `INSERT INTO user_days SELECT project, day, user_id FROM user_days_new`,
    `CREATE OR REPLACE TEMP TABLE daily_delta AS
       SELECT project, day, sum(active) AS active, sum(new) AS new, sum(session) AS session, sum(us) AS us
       FROM (
         SELECT project, day, 1 AS active, 0 AS new, 0 AS session, 0::BIGINT AS us FROM user_days_new
         UNION ALL SELECT project, ${day('first_seen_at')}, 0, 1, 0, 0 FROM users_now
         UNION ALL SELECT project, ${day('first_seen_at')}, 0, -1, 0, 0 FROM users_old
         UNION ALL SELECT project, ${day('started_at')}, 0, 0, 1,
           date_diff('microseconds', started_at, ended_at) FROM sessions_now
         UNION ALL SELECT project, ${day('started_at')}, 0, 0, -1,
           -date_diff('microseconds', started_at, ended_at) FROM sessions_old
       ) GROUP BY ALL`,
    `INSERT INTO daily SELECT project, day, 0, 0, 0, 0 FROM daily_delta ANTI JOIN daily USING (project, day)`,
    `UPDATE daily SET
       active_users = active_users + d.active,
       new_users = new_users + d.new,
       sessions = daily.sessions + d.session,
       session_duration_us = session_duration_us + d.us
     FROM daily_delta d
     WHERE daily.project = d.project AND daily.day = d.day
       AND (d.active <> 0 OR d.new <> 0 OR d.session <> 0 OR d.us <> 0)`,
  ];
}

interface KeyedRollup {
  readonly table: string;
  readonly key: string;
  /** Column → how it is made from event_time, over the events of the key. */
  readonly columns: Readonly<Record<string, 'min' | 'max'>>;
}

/**
 * Keeps a rollup of one row a key. Leaves two temporary tables: `<table>_old`, the rows of the batch's keys
 * as they were, and `<table>_now`, the same keys as they are now.
 */
function changedKeys({ table, key, columns }: KeyedRollup): readonly string[] {
  const names = Object.keys(columns);
  const pick = { min: 'least', max: 'greatest' };
  const batch = Object.entries(columns).map(([column, pickOf]) => `${pickOf}(event_time) AS ${column}`);
  const merged = Object.entries(columns).map(
    ([column, pickOf]) => `${pick[pickOf]}(b.${column}, o.${column}) AS ${column}`,
  );
  const list = names.join(', ');
  return [
    `CREATE OR REPLACE TEMP TABLE ${table}_batch AS
       SELECT project, ${key}, ${batch.join(', ')} FROM fresh GROUP BY ALL`,
    `CREATE OR REPLACE TEMP TABLE ${table}_old AS
       SELECT t.rowid AS row, t.project, t.${key}, ${names.map((name) => `t.${name}`).join(', ')}
       FROM ${table} t JOIN ${table}_batch b USING (project, ${key})`,
    `CREATE OR REPLACE TEMP TABLE ${table}_now AS
       SELECT o.row, b.project, b.${key}, ${merged.join(', ')}
       FROM ${table}_batch b LEFT JOIN ${table}_old o USING (project, ${key})`,
    `UPDATE ${table} SET ${names.map((name) => `${name} = n.${name}`).join(', ')}
       FROM ${table}_now n JOIN ${table}_old o ON n.row = o.row
       WHERE ${table}.rowid = n.row AND (${names.map((name) => `n.${name} <> o.${name}`).join(' OR ')})`,
    `INSERT INTO ${table} (project, ${key}, ${list})
       SELECT project, ${key}, ${list} FROM ${table}_now WHERE row IS NULL`,
  ];
}
