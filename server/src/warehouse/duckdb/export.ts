import type { ExportSlice } from '../contract.ts';
import { dayOf } from './dialect.ts';
import { timezoneLiteral } from './rollups.ts';

/**
 * How each format is written. NDJSON and CSV have no header, so that slices can follow each other. NDJSON is written as
 * lines of text: JSON holds no control character, so nothing in it is taken for a delimiter, and there is no quote.
 */
const FORMATS = {
  ndjson: "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01')",
  csv: '(FORMAT csv, HEADER false)',
  parquet: '(FORMAT parquet, COMPRESSION zstd)',
} as const;

/** Columns of an export, as `daybook import` and the ingest routes take them. */
export const EXPORT_COLUMNS = [
  'type',
  'event_id',
  'event_name',
  'user_id',
  'session_id',
  'event_time',
  'page',
  'country',
  'region',
  'city',
  'properties',
] as const;

const COLUMNS = `'event' AS type, event_id, event_name, user_id, session_id, epoch_us(event_time) / 1e6 AS event_time,
      page, country, region, city, properties`;

/** An event as the routes take it: absent fields are left out, which FORMAT json would write as nulls. */
const EVENT_JSON = `'{"type":"event"' || concat_ws('',
      ${EXPORT_COLUMNS.slice(1)
        .map((name) => `',"${name}":' || CAST(to_json(${name}) AS VARCHAR)`)
        .join(',\n      ')}) || '}'`;

/** One COPY of the events whose event_time falls on the days of the slice. DuckDB takes no parameters in COPY. */
export function exportSql(slice: ExportSlice, timezone: string): string {
  const day = dayOf('event_time', timezoneLiteral(timezone));
  const where = [
    slice.from === undefined ? '' : `${day} >= DATE ${literal(slice.from)}`,
    slice.to === undefined ? '' : `${day} <= DATE ${literal(slice.to)}`,
  ].filter((condition) => condition !== '');
  return `COPY (
    SELECT ${slice.format === 'ndjson' ? EVENT_JSON : '*'}
    FROM (SELECT ${COLUMNS} FROM events ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`})
  ) TO ${literal(slice.path)} ${FORMATS[slice.format]}`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
