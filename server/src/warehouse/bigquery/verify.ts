import type { Statement } from '../contract.ts';
import { tableSql, type BigqueryPlace } from './names.ts';

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
