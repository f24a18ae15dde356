import { parseJson } from '../../event/strict-json.ts';
import type { ExportSlice, Statement } from '../contract.ts';
import { tableSql, type BigqueryPlace } from './names.ts';

/** The events of a slice, each once, as the ingest routes take them. */
export function exportQuery(place: BigqueryPlace, timezone: string, { from, to }: ExportSlice): Statement {
  const day = 'DATE(event_time, @timezone)';
  const where = [
    from === undefined ? '' : `${day} >= CAST(@from AS DATE)`,
    to === undefined ? '' : `${day} <= CAST(@to AS DATE)`,
  ].filter((condition) => condition !== '');
  return {
    sql: `SELECT event_id, event_name, user_id, session_id, UNIX_MICROS(event_time) AS event_time_us,
  page, country, region, city, TO_JSON_STRING(properties) AS properties
FROM ${tableSql(place, 'events')}${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`}`,
    params: { timezone, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) },
  };
}

/** A table from before may keep JSON in a STRING column, whose text TO_JSON_STRING quotes once more. */
function parseProperties(text: unknown): unknown {
  const value = typeof text === 'string' ? parseJson(text) : null;
  return typeof value === 'string' ? parseJson(value) : value;
}

/** Rows of the query → NDJSON, absent fields left out. */
export async function* exportLines(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) {
    const { event_time_us: us, properties, ...fields } = row as Record<string, unknown>;
    const given = Object.entries(fields).filter(([, value]) => value !== null);
    const parsed = parseProperties(properties);
    const event = {
      type: 'event',
      ...Object.fromEntries(given),
      event_time: Number(us) / 1e6,
      ...(parsed === null ? {} : { properties: parsed }),
    };
    yield `${JSON.stringify(event)}\n`;
  }
}
