import { createHash } from 'node:crypto';
import { tableSql, type BigqueryPlace, type BigqueryTableName } from './names.ts';

/** A view by its definition. Views build on each other in this order. */
export interface ViewDefinition {
  /** As reports name it. */
  readonly name: BigqueryTableName;
  /** Kept by BigQuery incrementally as rows arrive, so that reading it does not read the events. */
  readonly materialized: boolean;
  readonly description: string;
  readonly clusterBy?: string;
  readonly sql: string;
}

/** The moment of an event. Rows from before Daybook have whole seconds only. */
export const MOMENT = 'COALESCE(event_timestamp, TIMESTAMP_SECONDS(event_time))';
/** Grouped by its place in the list: by name, GoogleSQL would take the column, where older rows have NULL. */
export const PROJECT = "COALESCE(project, 'default')";

/**
 * Every view. The rollups are minima, maxima and groups, which a second delivery of an event cannot change; BigQuery
 * keeps such materialized views up to date by itself and adds what came since the last refresh whenever one is
 * read, so they are exact at every moment. https://cloud.google.com/bigquery/docs/materialized-views-intro
 */
export function viewDefinitions(place: BigqueryPlace, timezone: string): readonly ViewDefinition[] {
  return [...rollups(place, timezone), ...plainViews(place, timezone)];
}

function rollups(place: BigqueryPlace, timezone: string): readonly ViewDefinition[] {
  const rows = tableSql(place, 'table');
  return [
    {
      name: 'users',
      materialized: true,
      description: 'Each user and the first event ever.',
      clusterBy: 'project, user_id',
      sql: `SELECT ${PROJECT} AS project, user_id, MIN(${MOMENT}) AS first_seen_at
FROM ${rows} WHERE user_id IS NOT NULL GROUP BY 1, 2`,
    },
    {
      name: 'sessions',
      materialized: true,
      description: 'Each session, its first and its last event.',
      clusterBy: 'project, session_id',
      sql: `SELECT ${PROJECT} AS project, session_id, MIN(${MOMENT}) AS started_at, MAX(${MOMENT}) AS ended_at
FROM ${rows} WHERE session_id IS NOT NULL GROUP BY 1, 2`,
    },
    {
      name: 'user_days',
      materialized: true,
      description: `Each day in ${timezone} and the users with an event on it.`,
      clusterBy: 'project, day',
      sql: `SELECT ${PROJECT} AS project, DATE(${MOMENT}, '${timezone}') AS day, user_id, COUNT(*) AS deliveries
FROM ${rows} WHERE user_id IS NOT NULL GROUP BY 1, 2, 3`,
    },
  ];
}

function plainViews(place: BigqueryPlace, timezone: string): readonly ViewDefinition[] {
  const day = (column: string) => `DATE(${column}, '${timezone}')`;
  return [
    {
      name: 'daily',
      materialized: false,
      description: `The numbers of each day in ${timezone}.`,
      sql: `SELECT a.project, a.day, a.active_users, COALESCE(n.new_users, 0) AS new_users,
  COALESCE(s.sessions, 0) AS sessions, COALESCE(s.session_duration_us, 0) AS session_duration_us
FROM (
  SELECT project, day, COUNT(*) AS active_users FROM ${tableSql(place, 'user_days')} GROUP BY 1, 2
) AS a
LEFT JOIN (
  SELECT project, ${day('first_seen_at')} AS day, COUNT(*) AS new_users
  FROM ${tableSql(place, 'users')} GROUP BY 1, 2
) AS n ON n.project = a.project AND n.day = a.day
LEFT JOIN (
  SELECT project, ${day('started_at')} AS day, COUNT(*) AS sessions,
    SUM(TIMESTAMP_DIFF(ended_at, started_at, MICROSECOND)) AS session_duration_us
  FROM ${tableSql(place, 'sessions')} GROUP BY 1, 2
) AS s ON s.project = a.project AND s.day = a.day`,
    },
    {
      name: 'event_rows',
      materialized: false,
      description: 'Every delivered event; one that was delivered twice stands twice.',
      sql: `SELECT event_id, ${PROJECT} AS project, received_at, ${MOMENT} AS event_time, event_time AS event_seconds, event_name, user_id, session_id,
  page, country, region, city, properties
FROM ${tableSql(place, 'table')}`,
    },
    {
      name: 'events',
      materialized: false,
      description: 'Every event once. Rows without an event_id are all kept.',
      sql: `SELECT * FROM ${tableSql(place, 'event_rows')} WHERE TRUE
QUALIFY event_id IS NULL OR ROW_NUMBER() OVER (PARTITION BY project, event_id ORDER BY received_at) = 1`,
    },
    {
      name: 'dead_letters',
      materialized: false,
      description: 'Messages that BigQuery refused, with the reason.',
      sql: `SELECT publish_time AS died_at, 'rejected' AS reason,
  COALESCE(JSON_VALUE(attributes, '$.CloudPubSubDeadLetterSourceDeliveryErrorMessage'), '') AS detail,
  COALESCE(data, '') AS body
FROM ${tableSql(place, 'dead_letters_raw')}`,
    },
  ];
}

/**
 * The view that says which definitions the others were made from, so that a change of one is noticed: by another
 * version of Daybook, or by another timezone.
 */
export function versionView(place: BigqueryPlace, timezone: string): ViewDefinition {
  const rows = [...viewVersions(timezone)].map(
    ([name, version]) => `SELECT '${name}' AS view_name, '${version}' AS version`,
  );
  return {
    name: 'version',
    materialized: false,
    description: `What the views of ${place.table} were made from; made last.`,
    sql: rows.join('\nUNION ALL '),
  };
}

/** View → a short name of its definition, with the timezone; the same wherever the views lie. */
export function viewVersions(timezone: string): ReadonlyMap<string, string> {
  const anywhere = { projectId: 'project', dataset: 'dataset', table: 'table' };
  return new Map(
    viewDefinitions(anywhere, 'timezone').map(({ name, sql }) => {
      const hash = createHash('sha256').update(sql).digest('hex').slice(0, 16);
      return [name, `${hash} ${timezone}`];
    }),
  );
}
