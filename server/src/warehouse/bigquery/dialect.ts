import type { Dialect } from '../dialect.ts';
import { tableSql, type BigqueryPlace } from './names.ts';

/** GoogleSQL over the tables and views of a place. */
export function bigqueryDialect(place: BigqueryPlace): Dialect {
  return {
    table: (name) => tableSql(place, name),
    param: (name) => `@${name}`,
    localDay: (column, timezoneParam) => `DATE(${column}, @${timezoneParam})`,
    dateParam: (name) => `CAST(@${name} AS DATE)`,
    microsecondsBetween: (from, to) => `TIMESTAMP_DIFF(${to}, ${from}, MICROSECOND)`,
    unixMicroseconds: (column) => `UNIX_MICROS(${column})`,
  };
}
