import { createHash } from 'node:crypto';
import type { Column } from './columns.ts';
import { tableSql, type BigqueryPlace } from './names.ts';
import { viewVersions } from './views.ts';

/*
 * The small table that reports read: the view `daily`, written down by a scheduled query every some minutes, so that a report costs
 * the same whatever is stored and however many ask (docs/adr/0021-a-table-of-days.md).
 */

export const DAILY_TABLE_COLUMNS: readonly Column[] = [
  { name: 'project', type: 'STRING', description: 'The project. NULL in the row of the run itself.' },
  { name: 'day', type: 'DATE', description: 'The day. NULL in the row of the run itself.' },
  { name: 'active_users', type: 'INT64', description: 'Users with an event on the day.' },
  { name: 'new_users', type: 'INT64', description: 'Users whose first event ever falls on the day.' },
  { name: 'sessions', type: 'INT64', description: 'Sessions that started on the day.' },
  { name: 'session_duration_us', type: 'INT64', description: 'Their durations together, in microseconds.' },
  {
    name: 'as_of',
    type: 'TIMESTAMP',
    description: 'When the run began: what the table of events held then is counted.',
  },
  { name: 'version', type: 'STRING', description: 'What the run was made from: definitions and timezone.' },
];

const NAMES = DAILY_TABLE_COLUMNS.map(({ name }) => name).join(', ');

/** The columns that a report reads of a day. */
export const DAY_COLUMNS = 'project, day, active_users, new_users, sessions, session_duration_us';

/**
 * Rewrites the table whole. A MERGE on FALSE is one statement that deletes and inserts in one commit: who reads sees the rows of
 * one run, never a part of two. Unlike CREATE OR REPLACE it needs no right to make tables, and leaves the table's own rights.
 * https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#merge_statement
 *
 * One row has neither project nor day: by it a run over no event can be told from no run.
 */
export function rewriteDailyTable(place: BigqueryPlace, timezone: string): string {
  const run = `CURRENT_TIMESTAMP() AS as_of, '${dailyVersion(timezone)}' AS version`;
  return `MERGE ${tableSql(place, 'daily_table')} AS kept
USING (
  SELECT ${DAY_COLUMNS}, ${run}
  FROM ${tableSql(place, 'daily')}
  UNION ALL
  SELECT CAST(NULL AS STRING), CAST(NULL AS DATE), 0, 0, 0, 0, ${run}
) AS made
ON FALSE
WHEN NOT MATCHED BY SOURCE THEN DELETE
WHEN NOT MATCHED THEN INSERT (${NAMES})
  VALUES (${NAMES})`;
}

/** Tells the rows of a run over other definitions, or in another timezone, which must not be shown. */
function dailyVersion(timezone: string): string {
  const versions = viewVersions(timezone);
  const made = (['users', 'sessions', 'user_days', 'daily'] as const).map((name) => versions.get(name));
  return `${createHash('sha256').update(made.join()).digest('hex').slice(0, 16)} ${timezone}`;
}

/** The rows of a run of this version, with its moment; as the dialect's `daily`. */
export function dailyTableRows(place: BigqueryPlace, timezone: string): string {
  return `(SELECT * FROM ${tableSql(place, 'daily_table')} WHERE version = '${dailyVersion(timezone)}')`;
}
