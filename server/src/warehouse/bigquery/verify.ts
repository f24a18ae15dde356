import type { Statement } from '../contract.ts';
import { DAY_COLUMNS, dailyTableRows } from './daily-table.ts';
import { tableSql, type BigqueryPlace } from './names.ts';
import { MOMENT, PROJECT } from './views.ts';

/** What each materialized view must hold, said over the rows. */
function expected(place: BigqueryPlace, timezone: string) {
  const events = `(SELECT * FROM ${tableSql(place, 'event_rows')} WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY project, user_id, session_id, event_time) = 1)`;
  return {
    users: `SELECT project, user_id, MIN(event_time) AS first_seen_at
FROM ${events} WHERE user_id IS NOT NULL GROUP BY project, user_id`,
    sessions: `SELECT project, session_id, MIN(event_time) AS started_at, MAX(event_time) AS ended_at
FROM ${events} WHERE session_id IS NOT NULL GROUP BY project, session_id`,
    user_days: `SELECT DISTINCT project, DATE(event_time, '${timezone}') AS day, user_id
FROM ${events} WHERE user_id IS NOT NULL`,
  } as const;
}

const COLUMNS = {
  users: 'project, user_id, first_seen_at',
  sessions: 'project, session_id, started_at, ended_at',
  user_days: 'project, day, user_id',
} as const;

/**
 * For each materialized view, the number of rows in which it and the rows of events differ, either way. The rows are
 * numbered on the way, so that BigQuery cannot answer from the materialized view itself.
 */
export function verifyStatements(
  place: BigqueryPlace,
  timezone: string,
): readonly (readonly [string, Statement])[] {
  const should = expected(place, timezone);
  return (['users', 'sessions', 'user_days'] as const).map((name) => {
    const actual = `SELECT ${COLUMNS[name]} FROM ${tableSql(place, name)}`;
    const sql = `WITH expected AS (${should[name]}), actual AS (${actual})
SELECT (SELECT COUNT(*) FROM (SELECT * FROM expected EXCEPT DISTINCT SELECT * FROM actual))
  + (SELECT COUNT(*) FROM (SELECT * FROM actual EXCEPT DISTINCT SELECT * FROM expected)) AS differing`;
    return [name, { sql, params: {} }];
  });
}

/**
 * The number of rows in which the table of days and the events differ, as they were when it was made: its rows are of the past, so
 * they are held against the past. BigQuery keeps that for seven days.
 * https://cloud.google.com/bigquery/docs/access-historical-data
 */
export function verifyDailyTable(place: BigqueryPlace, timezone: string, asOfUs: number): Statement {
  // A whole number, and no parameter: the moment must be a constant.
  const moment = `TIMESTAMP_MICROS(${Math.trunc(asOfUs)})`;
  const day = (column: string) => `DATE(${column}, '${timezone}')`;
  const sql = `WITH rows_then AS (
  SELECT ${PROJECT} AS project, ${MOMENT} AS event_time, user_id, session_id
  FROM ${tableSql(place, 'table')} FOR SYSTEM_TIME AS OF ${moment}
),
active AS (
  SELECT project, ${day('event_time')} AS day, COUNT(DISTINCT user_id) AS active_users
  FROM rows_then WHERE user_id IS NOT NULL GROUP BY 1, 2
),
fresh AS (
  SELECT project, ${day('first_seen_at')} AS day, COUNT(*) AS new_users
  FROM (SELECT project, user_id, MIN(event_time) AS first_seen_at FROM rows_then WHERE user_id IS NOT NULL GROUP BY 1, 2)
  GROUP BY 1, 2
),
started AS (
  SELECT project, ${day('started_at')} AS day, COUNT(*) AS sessions,
    SUM(TIMESTAMP_DIFF(ended_at, started_at, MICROSECOND)) AS session_duration_us
  FROM (
    SELECT project, session_id, MIN(event_time) AS started_at, MAX(event_time) AS ended_at
    FROM rows_then WHERE session_id IS NOT NULL GROUP BY 1, 2
  )
  GROUP BY 1, 2
),
expected AS (
  SELECT active.project, active.day, active_users, COALESCE(new_users, 0) AS new_users,
    COALESCE(sessions, 0) AS sessions, COALESCE(session_duration_us, 0) AS session_duration_us
  FROM active
  LEFT JOIN fresh ON fresh.project = active.project AND fresh.day = active.day
  LEFT JOIN started ON started.project = active.project AND started.day = active.day
),
actual AS (SELECT ${DAY_COLUMNS} FROM ${dailyTableRows(place, timezone)} AS kept WHERE day IS NOT NULL)
SELECT (SELECT COUNT(*) FROM (SELECT * FROM expected EXCEPT DISTINCT SELECT * FROM actual))
  + (SELECT COUNT(*) FROM (SELECT * FROM actual EXCEPT DISTINCT SELECT * FROM expected)) AS differing`;
  return { sql, params: {} };
}
