import { lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { StoreError } from '../../event/store-error.ts';

/*
 * DuckDB reads and writes any file that its process may, wherever a statement, a view or a macro names one. Ours takes
 * no statement from outside, but the file that it opens may come from elsewhere: a backup that somebody sent, a volume
 * that others write to. So it is opened such that it reaches nothing but its own.
 */

/** The batch being loaded, in the data directory. */
const STAGE_FILE = 'loading.ndjson';

/** Where DuckDB spills what does not fit in memory, in the data directory. */
export const SPILL_DIRECTORY = 'spill';

/** The only folder of the data directory that DuckDB may write exports to. Whoever exports makes it. */
export const EXPORTS_DIRECTORY = 'exports';

/** Options with which a file is opened: no extension but those in the library, no secrets. */
export const CLOSED_OPTIONS = {
  autoinstall_known_extensions: 'false',
  autoload_known_extensions: 'false',
  allow_community_extensions: 'false',
  allow_unsigned_extensions: 'false',
  allow_persistent_secrets: 'false',
} as const;

/** Files that DuckDB keeps beside the database while it writes; it follows links in their place. */
const COMPANIONS = ['', '.wal', '.wal.checkpoint', '.wal.recovery'];

/** Errors: `corrupt` when the database, or a file that belongs to it, is a link or no file. */
export function refuseLinks(path: string): void {
  for (const companion of COMPANIONS) {
    const stat = lstatSync(path + companion, { throwIfNoEntry: false });
    if (stat === undefined || stat.isFile()) continue;
    const kind = stat.isSymbolicLink() ? 'a link' : 'no file';
    throw new StoreError('corrupt', `duckdb: ${path + companion} is ${kind}: put the file itself there`);
  }
}

/**
 * Takes from the instance, for good, every file but its own, the batch being loaded and the exports; DuckDB itself adds
 * its log and the folder to spill to. Must be the first statements after opening, which reads no other file: it takes
 * the catalogue as text. No setting can be changed afterwards, not even those of one connection.
 */
export async function confine(connection: DuckDBConnection, directory: string): Promise<void> {
  const stage = stagePath(directory);
  const exports = join(realpathSync(directory), EXPORTS_DIRECTORY);
  await connection.run(`SET allowed_directories = [${literal(exports)}]`);
  await connection.run(`SET allowed_paths = [${literal(stage)}, ${literal(globOf(stage))}]`);
  await connection.run('SET enable_external_access = false');
  await connection.run('SET lock_configuration = true');
}

/** The batch's file, as DuckDB compares it: without links on the path. */
export function stagePath(directory: string): string {
  return join(realpathSync(directory), STAGE_FILE);
}

/** The pattern that names this file alone: DuckDB's readers take patterns, and ask for the right to the pattern too. */
export function globOf(path: string): string {
  return path.replaceAll(/[[*?]/g, '[$&]');
}

/** Text as SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
