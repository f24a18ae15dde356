import type { Dialect } from '../dialect.ts';
import { dailyTableRows } from './daily-table.ts';
import { tableSql, type BigqueryPlace } from './names.ts';

/** GoogleSQL over the tables and views of a place, whose days are those of the timezone. */
export function bigqueryDialect(place: BigqueryPlace, timezone: string): Dialect {
  return {
    table: (name) => tableSql(place, name),
    dailyTable: dailyTableRows(place, timezone),
    param: (name) => `@${name}`,
    localDay: (column, timezoneParam) => `DATE(${column}, @${timezoneParam})`,
    // On the column that the table is clustered by, so that whole blocks are passed over and not billed.
    aroundDays: ({ from, to }) =>
      [
        from ? 'event_seconds >= UNIX_SECONDS(TIMESTAMP(CAST(@from AS DATE))) - 86400' : 'TRUE',
        to ? 'event_seconds < UNIX_SECONDS(TIMESTAMP(CAST(@to AS DATE))) + 2 * 86400' : 'TRUE',
      ].join(' AND '),
    dateParam: (name) => `CAST(@${name} AS DATE)`,
    microsecondsBetween: (from, to) => `TIMESTAMP_DIFF(${to}, ${from}, MICROSECOND)`,
    unixMicroseconds: (column) => `UNIX_MICROS(${column})`,
  };
}
