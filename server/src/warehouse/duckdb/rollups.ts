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
 * Statements that bring every rollup up to date with the rows in the temporary table `fresh`, which are new. They
 * first find what changes, by joining the large rollup to the few keys of the batch, then write that alone.
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
    `CREATE OR REPLACE TEMP TABLE user_days_added AS
       WITH batch AS MATERIALIZED (SELECT DISTINCT project, ${day('event_time')} AS day, user_id FROM fresh)
       SELECT b.* FROM batch b LEFT JOIN (
         SELECT project, day, user_id, true AS known FROM user_days
         WHERE day BETWEEN (SELECT min(day) FROM batch) AND (SELECT max(day) FROM batch)
       ) USING (project, day, user_id) WHERE known IS NULL`,
    `INSERT INTO user_days SELECT project, day, user_id FROM user_days_added`,
    `MERGE INTO daily USING (
       SELECT project, day, sum(active) AS active, sum(new) AS new, sum(session) AS session, sum(us) AS us
       FROM (
         SELECT project, day, 1 AS active, 0 AS new, 0 AS session, 0::BIGINT AS us FROM user_days_added
         UNION ALL SELECT project, ${day('first_seen_at')}, 0, 1, 0, 0 FROM users_changed
         UNION ALL SELECT project, ${day('old_first_seen_at')}, 0, -1, 0, 0 FROM users_changed WHERE row IS NOT NULL
         UNION ALL SELECT project, ${day('started_at')}, 0, 0, 1,
           date_diff('microseconds', started_at, ended_at) FROM sessions_changed
         UNION ALL SELECT project, ${day('old_started_at')}, 0, 0, -1,
           -date_diff('microseconds', old_started_at, old_ended_at) FROM sessions_changed WHERE row IS NOT NULL
       ) GROUP BY ALL
     ) AS d ON daily.project = d.project AND daily.day = d.day
     WHEN MATCHED THEN UPDATE SET
       active_users = active_users + d.active,
       new_users = new_users + d.new,
       sessions = daily.sessions + d.session,
       session_duration_us = session_duration_us + d.us
     WHEN NOT MATCHED THEN INSERT VALUES (d.project, d.day, d.active, d.new, d.session, d.us)`,
  ];
}

interface KeyedRollup {
  readonly table: string;
  readonly key: string;
  /** Column → how it is made from event_time, over the events of the key. */
  readonly columns: Readonly<Record<string, 'min' | 'max'>>;
}

/**
 * Keeps a rollup of one row a key. Leaves a temporary table `<table>_changed`: the keys that are new or have moved,
 * with their columns as they are now and, as `old_<column>`, as they were; `row` is NULL for a new key.
 */
function changedKeys({ table, key, columns }: KeyedRollup): readonly string[] {
  const names = Object.keys(columns);
  const list = names.join(', ');
  const pick = { min: 'least', max: 'greatest' };
  const each = (write: (name: string, pickOf: 'min' | 'max') => string, separator = ', ') =>
    Object.entries(columns)
      .map(([name, pickOf]) => write(name, pickOf))
      .join(separator);
  return [
    `CREATE OR REPLACE TEMP TABLE ${table}_changed AS
       SELECT t.rowid AS row, b.project, b.${key}, ${each((name, of) => `${pick[of]}(b.${name}, t.${name}) AS ${name}`)},
         ${each((name) => `t.${name} AS old_${name}`)}
       FROM (SELECT project, ${key}, ${each((name, of) => `${of}(event_time) AS ${name}`)} FROM fresh GROUP BY ALL) b
       LEFT JOIN ${table} t ON t.project = b.project AND t.${key} = b.${key}
       WHERE t.rowid IS NULL OR ${each((name, of) => `b.${name} ${of === 'min' ? '<' : '>'} t.${name}`, ' OR ')}`,
    `UPDATE ${table} SET ${each((name) => `${name} = c.${name}`)}
       FROM ${table}_changed c WHERE ${table}.rowid = c.row`,
    `INSERT INTO ${table} (project, ${key}, ${list})
       SELECT project, ${key}, ${list} FROM ${table}_changed WHERE row IS NULL`,
  ];
}
