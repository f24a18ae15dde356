import {
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import type { Statement } from '../contract.ts';
import { ZONEINFO } from './timezone-data.ts';

/*
 * Days are cut by DuckDB, and by nothing else. The timezones that it is built with are as old as its ICU; so it is given
 * those of the Node that this Daybook is pinned to, as ICU's file, whose directory ICU reads from the environment.
 */

const FILES_DIRECTORY = 'timezones';

/** What DuckDB must find in the environment of the process before it looks at the first timezone, or why it has its own data. */
export type TimezoneFiles =
  { readonly variables: Readonly<Record<string, string>> } | { readonly fault: string };

/** Writes the timezones into the data directory. Where they cannot be written, as on a full disk, DuckDB has its own. */
export function timezoneFiles(dataDirectory: string): TimezoneFiles {
  const directory = join(dataDirectory, FILES_DIRECTORY);
  const file = join(directory, 'zoneinfo64.res');
  const zoneinfo = brotliDecompressSync(Buffer.from(ZONEINFO, 'base64'));
  try {
    if (!existsSync(file) || !readFileSync(file).equals(zoneinfo)) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeFileSync(`${file}.new`, zoneinfo);
      renameSync(`${file}.new`, file);
    }
    giveToOwner(dataDirectory, [directory, file]);
    return { variables: { ICU_TIMEZONE_FILES_DIR: directory } };
  } catch (error) {
    const reason = `the timezone data in ${directory} cannot be used: ${(error as Error).message}`;
    return {
      fault: `${reason}; DuckDB cuts days by its own, older data. Give the directory to the owner of ${dataDirectory}, or remove it`,
    };
  }
}

/** What root makes, for example by `sudo daybook verify`, must not keep the data directory's owner off. */
function giveToOwner(dataDirectory: string, paths: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dataDirectory);
  for (const path of paths) lchownSync(path, uid, gid);
}

/** A text that changes when a day of the timezone begins at another moment, in any year that matters. */
export function dayStartsSql(timezone: string): string {
  return `SELECT md5(string_agg(CAST(epoch_us(timezone(${timezone}, midnight)) AS VARCHAR), ' ' ORDER BY midnight))
FROM generate_series(TIMESTAMP '1970-01-01', TIMESTAMP '2070-01-01', INTERVAL 1 DAY) AS days(midnight)`;
}

/**
 * How every timezone is ahead of UTC, in whole seconds, at noon UTC once a week from one day to another (YYYY-MM-DD): columns
 * `name` and `offsets`, separated by spaces.
 */
export function timezoneOffsets(from: string, to: string): Statement {
  return {
    report: 'timezones',
    weight: 'rows',
    sql: `
SELECT name, string_agg(CAST((epoch_us(timezone(name, timezone('UTC', noon))) - epoch_us(noon)) // 1000000 AS VARCHAR), ' ' ORDER BY noon)
  AS offsets
FROM pg_timezone_names(), generate_series(CAST($from AS TIMESTAMP) + INTERVAL 12 HOUR, CAST($to AS TIMESTAMP), INTERVAL 7 DAY) AS noons(noon)
GROUP BY name`,
    params: { from, to },
  };
}
