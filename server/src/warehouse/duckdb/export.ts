import type { ExportRange, ExportSlice, Statement } from '../contract.ts';
import { GUARDED_TEXT } from '../csv-cell.ts';
import { literal } from './confine.ts';
import { dayOf } from './dialect.ts';
import { timezoneLiteral } from './rollups.ts';

/**
 * How each format is written. NDJSON and CSV have no header, so that slices can follow each other. NDJSON is written as
 * lines of text: JSON holds no control character, so nothing in it is taken for a delimiter, and there is no quote.
 */
const FORMATS = {
  ndjson: "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01', USE_TMP_FILE false)",
  csv: '(FORMAT csv, HEADER false, USE_TMP_FILE false)',
  parquet: '(FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)',
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

/** The columns whose text is a client's. */
const TEXTS: readonly string[] = [
  'event_id',
  'event_name',
  'user_id',
  'session_id',
  'page',
  'country',
  'region',
  'city',
];

/** An event's columns, and `at` to sort by: as a number, event_time is no exact one. */
const COLUMNS = `'event' AS type, event_id, event_name, user_id, session_id, epoch_us(event_time) / 1e6 AS event_time,
      page, country, region, city, properties, event_time AS at`;

/** An event as the routes take it: absent fields are left out, which FORMAT json would write as nulls. */
const EVENT_JSON = `'{"type":"event"' || concat_ws('',
      ${EXPORT_COLUMNS.slice(1)
        .map((name) => `',"${name}":' || CAST(to_json(${name}) AS VARCHAR)`)
        .join(',\n      ')}) || '}'`;

const GUARDED = literal(GUARDED_TEXT);

const CELLS = EXPORT_COLUMNS.map((name) =>
  TEXTS.includes(name)
    ? `CASE WHEN regexp_matches(${name}, ${GUARDED}) THEN '''' || ${name} ELSE ${name} END AS ${name}`
    : name,
).join(',\n      ');

/** What is written of each event, by format. */
const WRITTEN = { ndjson: EVENT_JSON, csv: CELLS, parquet: EXPORT_COLUMNS.join(', ') } as const;

/** One COPY of a slice. DuckDB takes no parameters in COPY. */
export function exportSql(slice: ExportSlice, timezone: string): string {
  const { format, sinceUs, beforeUs, path } = slice;
  const where = [
    ...onDays(slice, timezone),
    ...(sinceUs === undefined ? [] : [`event_time >= make_timestamp(${BigInt(sinceUs)})`]),
    ...(beforeUs === undefined ? [] : [`event_time < make_timestamp(${BigInt(beforeUs)})`]),
  ];
  return `COPY (
    SELECT ${WRITTEN[format]}
    FROM (SELECT ${COLUMNS} FROM events ${whereSql(where)}) AS event
    ORDER BY event.at, event.event_id
  ) TO ${literal(path)} ${FORMATS[format]}`;
}

/** Bytes that a slice holds, at most; more where a minute has more. They lie on the disk until they are read. */
const SLICE_BYTES = 256 * 1_024 * 1_024;

/** Bytes of a line, its texts of any length apart. */
const LINE_BYTES = 200;

const MINUTE_US = 60_000_000;

/**
 * Where an export is cut: the moments at which slices begin, oldest first, in the column `since_us`, so that each holds about as
 * many bytes as may lie on the disk, and each is sorted in memory. No cut goes through a minute.
 */
export function sliceStarts(range: ExportRange, timezone: string, bytesMax = SLICE_BYTES): Statement {
  return {
    report: 'export',
    weight: 'rows',
    sql: `
WITH minutes AS (
  SELECT epoch_us(event_time) // ${MINUTE_US} AS minute,
    sum(${LINE_BYTES} + coalesce(strlen(properties), 0) + coalesce(strlen(page), 0)) AS bytes
  FROM events ${whereSql(onDays(range, timezone))} GROUP BY 1
),
slices AS (
  SELECT minute, (sum(bytes) OVER (ORDER BY minute) - bytes) // ${bytesMax} AS slice FROM minutes
)
SELECT min(minute) * ${MINUTE_US} AS since_us FROM slices GROUP BY slice ORDER BY 1`,
    params: {},
  };
}

/** Conditions that an event falls on the days; those on event_time itself pass over what is far from them. */
function onDays({ from, to }: ExportRange, timezone: string): string[] {
  const day = dayOf('event_time', timezoneLiteral(timezone));
  return [
    ...(from === undefined
      ? []
      : [`${day} >= DATE ${literal(from)}`, `event_time >= DATE ${literal(from)} - INTERVAL 1 DAY`]),
    ...(to === undefined
      ? []
      : [`${day} <= DATE ${literal(to)}`, `event_time < DATE ${literal(to)} + INTERVAL 2 DAY`]),
  ];
}

function whereSql(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}
