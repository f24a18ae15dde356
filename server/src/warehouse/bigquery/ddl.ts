import { DEAD_LETTER_COLUMNS, EVENT_COLUMNS, type Column } from './columns.ts';
import { DAILY_TABLE_COLUMNS } from './daily-table.ts';
import { tableSql, type BigqueryPlace, type BigqueryTableName } from './names.ts';
import { viewDefinitions, type ViewDefinition } from './views.ts';

/* Every statement that makes or changes something, in GoogleSQL. */

/**
 * Partitioned by the day of arrival and not of the event: BigQuery takes rows into partitions of the last years only,
 * and an event may be older than that. Clustered by the time of the event, by which reports in another timezone ask.
 * https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery#streaming_into_partitioned_tables
 */
export function createEventsTable(place: BigqueryPlace): string {
  return `CREATE TABLE IF NOT EXISTS ${tableSql(place, 'table')} (
${EVENT_COLUMNS.map((column) => `  ${definition(column)}`).join(',\n')}
)
PARTITION BY DATE(received_at)
CLUSTER BY event_time
OPTIONS (description = 'Events as Pub/Sub delivers them; one may stand twice, with the same event_id.')`;
}

export function createDeadLettersTable(place: BigqueryPlace): string {
  return `CREATE TABLE IF NOT EXISTS ${tableSql(place, 'dead_letters_raw')} (
${DEAD_LETTER_COLUMNS.map((column) => `  ${definition(column)}`).join(',\n')}
)
PARTITION BY DATE(publish_time)
OPTIONS (description = 'Messages that could not be written into the table of events, with the reason.')`;
}

export function createDailyTable(place: BigqueryPlace): string {
  return `CREATE TABLE IF NOT EXISTS ${tableSql(place, 'daily_table')} (
${DAILY_TABLE_COLUMNS.map((column) => `  ${definition(column)}`).join(',\n')}
)
OPTIONS (description = 'The numbers of each day as of a moment; a scheduled query rewrites it whole.')`;
}

/** Columns are added as NULLABLE: the rows that are there have none of them. */
export function addColumns(
  place: BigqueryPlace,
  name: BigqueryTableName,
  columns: readonly Column[],
): string {
  const clauses = columns.map(
    ({ name: added, type, description }) =>
      `  ADD COLUMN IF NOT EXISTS ${definition({ name: added, type, description })}`,
  );
  return `ALTER TABLE ${tableSql(place, name)}\n${clauses.join(',\n')}`;
}

/** Lets a column be absent from a message. */
export function dropNotNull(place: BigqueryPlace, name: BigqueryTableName, column: string): string {
  return `ALTER TABLE ${tableSql(place, name)}\n  ALTER COLUMN ${column} DROP NOT NULL`;
}

function definition({ name, type, required, description }: Column): string {
  return `${name} ${type}${required === true ? ' NOT NULL' : ''} OPTIONS (description = ${literal(description)})`;
}

export function createView(place: BigqueryPlace, view: ViewDefinition): string {
  const name = tableSql(place, view.name);
  const description = `description = ${literal(view.description)}`;
  if (!view.materialized) return `CREATE OR REPLACE VIEW ${name}\nOPTIONS (${description}) AS\n${view.sql}`;
  const cluster = view.clusterBy === undefined ? '' : `CLUSTER BY ${view.clusterBy}\n`;
  const options = `OPTIONS (enable_refresh = TRUE, refresh_interval_minutes = 30, ${description})`;
  return `CREATE OR REPLACE MATERIALIZED VIEW ${name}\n${cluster}${options} AS\n${view.sql}`;
}

/** Refreshes each materialized view now, as is needed after rows were deleted. */
export function refreshViews(place: BigqueryPlace): readonly string[] {
  return viewDefinitions(place, 'UTC')
    .filter(({ materialized }) => materialized)
    .map(
      ({ name }) =>
        `CALL BQ.REFRESH_MATERIALIZED_VIEW(${literal(tableSql(place, name).replaceAll('`', ''))})`,
    );
}

/** Gives a role on a table. */
export function grantOn(
  { place, name }: { readonly place: BigqueryPlace; readonly name: BigqueryTableName },
  role: string,
  member: string,
): string {
  return `GRANT \`${role}\` ON TABLE ${tableSql(place, name)} TO ${literal(member)}`;
}

function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
