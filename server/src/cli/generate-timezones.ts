import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';
import { nodeZoneinfo } from './node-zoneinfo.ts';

/* Writes the timezone data that DuckDB is given, out of the Node that runs this; `npm run timezones`. */

const zoneinfo = nodeZoneinfo(readFileSync(process.execPath));
if (zoneinfo === undefined) throw new Error(`${process.execPath} carries no timezones of its own`);
writeFileSync(
  new URL('../warehouse/duckdb/timezone-data.ts', import.meta.url),
  `/* Written by \`npm run timezones\`; do not edit. ICU's zoneinfo64.res, brotli, base64. Licence: Unicode-3.0. */

/** The version of the IANA timezone database. */
export const TIMEZONE_VERSION = '${process.versions.tz}';

export const ZONEINFO = '${brotliCompressSync(zoneinfo).toString('base64')}';
`,
);
