import type { Dialect } from '../dialect.ts';

/** The day of a UTC timestamp in a timezone, both as SQL expressions. UTC needs no look-up. */
export function dayOf(column: string, timezone: string): string {
  return `CAST(timezone(${timezone}, timezone('UTC', ${column})) AS DATE)`;
}

export const duckdbDialect: Dialect = {
  // Inserts are idempotent by event_id, so the rows are the events.
  table: (name) => (name === 'event_rows' ? 'events' : name),
  param: (name) => `$${name}`,
  localDay: (column, timezoneParam) => dayOf(column, `$${timezoneParam}`),
  aroundDays: ({ from, to }) =>
    [
      from ? 'event_time >= CAST($from AS DATE) - INTERVAL 1 DAY' : 'true',
      to ? 'event_time < CAST($to AS DATE) + INTERVAL 2 DAY' : 'true',
    ].join(' AND '),
  dateParam: (name) => `CAST($${name} AS DATE)`,
  microsecondsBetween: (from, to) => `date_diff('microseconds', ${from}, ${to})`,
  unixMicroseconds: (column) => `epoch_us(${column})`,
};
