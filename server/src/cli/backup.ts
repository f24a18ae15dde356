import { cpSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { makeDataDirectory } from '../control/data-directory.ts';
import { DirectoryLock } from '../control/directory-lock.ts';
import { JOURNAL_DIRECTORY, putBackSegments } from '../transport/journal/segments.ts';
import { DUCKDB_FILE } from '../warehouse/duckdb/warehouse.ts';
import { IMPORTS_DIRECTORY } from './import-progress.ts';
import { reach } from './reach.ts';

/** What a backup consists of. */
const FILES = [JOURNAL_DIRECTORY, DUCKDB_FILE];

/** Writes a consistent copy into a new or empty directory. */
export async function backup(config: Config, directory: string): Promise<number> {
  const target = resolve(directory);
  if (existsSync(target) && readdirSync(target).length > 0) throw new Error(`${target} is not empty`);
  mkdirSync(target, { recursive: true });
  await reach(config, (data) => data.backup(target));
  process.stdout.write(`wrote ${FILES.join(' and ')} to ${target}\n`);
  return 0;
}

/** Puts a backup into the data directory; refuses while a server runs there or data would be lost. */
export async function restore(config: Config, directory: string, force: boolean): Promise<number> {
  const source = resolve(directory);
  for (const file of FILES) {
    if (!existsSync(join(source, file))) throw new Error(`${source} is not a backup: it has no ${file}`);
  }
  makeDataDirectory(config.dataDirectory);
  const lock = await DirectoryLock.acquire(config.dataDirectory);
  try {
    putBack(source, config.dataDirectory, force);
  } finally {
    lock.release();
  }
  return 0;
}

/** The data directory is locked. */
function putBack(source: string, dataDirectory: string, force: boolean): void {
  const present = readdirSync(dataDirectory).filter((file) => /^(journal$|daybook\.)/.test(file));
  // Only the warehouse is gone: what waits in the journal is loaded into the one that comes.
  const journal = join(dataDirectory, JOURNAL_DIRECTORY);
  const kept =
    present.join() === JOURNAL_DIRECTORY && putBackSegments(journal, join(source, JOURNAL_DIRECTORY));
  if (present.length > 0 && !kept && !force) {
    throw new Error(`${dataDirectory} holds data already; with --force it is moved aside first`);
  }
  // What was imported into the data that goes is not imported into the data that comes.
  const aside = [
    ...(kept ? [] : present),
    ...readdirSync(dataDirectory).filter((file) => file === IMPORTS_DIRECTORY),
  ];
  if (aside.length > 0) moveAside(dataDirectory, aside);
  const files = kept ? [DUCKDB_FILE] : FILES;
  for (const file of files) cpSync(join(source, file), join(dataDirectory, file), { recursive: true });
  const also = kept ? '; the journal that was there is kept, its events are loaded at the next start' : '';
  process.stdout.write(`restored ${source} into ${dataDirectory}${also}\n`);
}

function moveAside(directory: string, files: readonly string[]): void {
  const aside = join(directory, `replaced-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
  mkdirSync(aside);
  for (const file of files) renameSync(join(directory, file), join(aside, file));
  process.stdout.write(`moved what was there to ${aside}\n`);
}
