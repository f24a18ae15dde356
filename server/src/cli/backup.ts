import { lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { makeDataDirectory } from '../control/data-directory.ts';
import { DirectoryLock } from '../control/directory-lock.ts';
import { beginSwap, finishSwap, RESTORING_DIRECTORY, syncDirectory, type Swap } from '../control/swap.ts';
import { JOURNAL_DIRECTORY, segmentsToPutBack } from '../transport/journal/segments.ts';
import { DUCKDB_FILE } from '../warehouse/duckdb/open-file.ts';
import { copyNewFile } from './backup-files.ts';
import { IMPORTS_DIRECTORY } from './import-progress.ts';
import {
  checkContents,
  checkJoined,
  checkStores,
  MANIFEST_FILE,
  openBackup,
  PARTIAL_DIRECTORY,
  writeManifest,
  type Backup,
} from './manifest.ts';
import { reach } from './reach.ts';

/**
 * Writes a consistent copy into a new or empty directory: into a folder of its own there first, whose files get their names
 * when all of them are synced; the manifest last. Killed before, it is no backup, and `restore` says so.
 */
export async function backup(config: Config, directory: string): Promise<number> {
  const target = resolve(directory);
  const made = makeEmpty(target);
  const partial = join(target, PARTIAL_DIRECTORY);
  mkdirSync(partial, { mode: 0o700 });
  try {
    const schema = await reach(config, async (data) => {
      await data.backup(partial);
      const [row] = await data.query({ sql: 'SELECT max(version) AS version FROM migrations', params: {} });
      return Number(row?.['version']);
    });
    await checkStores(partial);
    await writeManifest(partial, schema);
  } catch (error) {
    discard(partial, made ? target : undefined);
    throw new Error(`nothing was backed up: ${(error as Error).message}`, { cause: error });
  }
  nameFiles(partial, target);
  process.stdout.write(`wrote ${JOURNAL_DIRECTORY}, ${DUCKDB_FILE} and ${MANIFEST_FILE} to ${target}\n`);
  return 0;
}

/** As far as it can be: a server that still copies into it has the last word, and it is no backup all the same. */
function discard(partial: string, made: string | undefined): void {
  try {
    rmSync(partial, { recursive: true, force: true });
    if (made !== undefined) rmdirSync(made);
  } catch {
    // What is left says that it is not whole.
  }
}

/** True when the directory was made. @throws Error when it holds anything */
function makeEmpty(target: string): boolean {
  const stat = lstatSync(target, { throwIfNoEntry: false });
  if (stat === undefined) {
    mkdirSync(target, { recursive: true });
    return true;
  }
  const names = readdirSync(target);
  if (names.join() === PARTIAL_DIRECTORY)
    throw new Error(
      `${target} holds a backup that was killed, or that is being made: remove it, or name another`,
    );
  if (names.length > 0) throw new Error(`${target} is not empty`);
  return false;
}

function nameFiles(partial: string, target: string): void {
  syncDirectory(join(partial, JOURNAL_DIRECTORY));
  syncDirectory(partial);
  for (const names of [[JOURNAL_DIRECTORY, DUCKDB_FILE], [MANIFEST_FILE]]) {
    for (const name of names) renameSync(join(partial, name), join(target, name));
    syncDirectory(target);
  }
  rmdirSync(partial);
  syncDirectory(target);
  syncDirectory(dirname(target));
}

export interface RestoreOptions {
  /** Moves aside what the data directory holds. */
  readonly force: boolean;
  /** Takes a backup of which nobody can tell whether it is whole. */
  readonly withoutManifest: boolean;
}

/** Puts a backup into the data directory; refuses while a server runs there or data would be lost. */
export async function restore(config: Config, directory: string, options: RestoreOptions): Promise<number> {
  const { dataDirectory } = config;
  const source = openBackup(resolve(directory), { bare: options.withoutManifest });
  makeDataDirectory(dataDirectory);
  const lock = await DirectoryLock.acquire(dataDirectory);
  await lock.during(() => restoreInto(dataDirectory, source, options.force));
  return 0;
}

/** Nothing of the data directory changes before all that comes lies beside it, checked and synced (`control/swap.ts`). */
async function restoreInto(dataDirectory: string, source: Backup, force: boolean): Promise<void> {
  if (finishSwap(dataDirectory) !== undefined)
    process.stdout.write('finished the restore that was interrupted before\n');
  const swap = plan(dataDirectory, source, force);
  await gather(dataDirectory, source, swap);
  beginSwap(dataDirectory, swap);
  finishSwap(dataDirectory);
  if (swap.move.length > 0)
    process.stdout.write(`moved what was there to ${join(dataDirectory, swap.aside)}\n`);
  const kept = swap.place.includes(JOURNAL_DIRECTORY)
    ? ''
    : '; the journal that was there is kept, its events are loaded at the next start';
  process.stdout.write(`restored ${source.directory} into ${dataDirectory}${kept}\n`);
}

/** @throws Error when data would go that nobody said may go */
function plan(dataDirectory: string, source: Backup, force: boolean): Swap {
  const names = readdirSync(dataDirectory);
  const present = names.filter((name) => name === JOURNAL_DIRECTORY || name.startsWith(DUCKDB_FILE));
  // Only the warehouse is gone: what waits in the journal is loaded into the one that comes.
  const journal = join(dataDirectory, JOURNAL_DIRECTORY);
  const segments =
    present.join() === JOURNAL_DIRECTORY
      ? segmentsToPutBack(journal, join(source.directory, JOURNAL_DIRECTORY))
      : undefined;
  if (present.length > 0 && segments === undefined && !force)
    throw new Error(`${dataDirectory} holds data already; with --force it is moved aside first`);
  // What was imported into the data that goes is not imported into the data that comes.
  const imports = names.filter((name) => name === IMPORTS_DIRECTORY);
  return {
    aside: `replaced-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`,
    move: [...(segments === undefined ? present : []), ...imports],
    place:
      segments === undefined
        ? [JOURNAL_DIRECTORY, DUCKDB_FILE]
        : [...segments.map((name) => `${JOURNAL_DIRECTORY}/${name}`), DUCKDB_FILE],
  };
}

/** Copies the backup beside the data, and checks the copy: its contents, and what the database holds. */
async function gather(dataDirectory: string, source: Backup, { place }: Swap): Promise<void> {
  const restoring = join(dataDirectory, RESTORING_DIRECTORY);
  rmSync(restoring, { recursive: true, force: true });
  mkdirSync(join(restoring, JOURNAL_DIRECTORY), { recursive: true, mode: 0o700 });
  try {
    for (const path of source.paths) await copyNewFile(join(source.directory, path), join(restoring, path));
    if (source.manifest !== undefined) await checkContents(restoring, source.manifest.files);
    await checkStores(restoring);
    if (!place.includes(JOURNAL_DIRECTORY))
      await checkJoined(join(dataDirectory, JOURNAL_DIRECTORY), restoring);
    syncDirectory(join(restoring, JOURNAL_DIRECTORY));
  } catch (error) {
    rmSync(restoring, { recursive: true, force: true });
    throw new Error(`nothing was restored: ${(error as Error).message}`, { cause: error });
  }
}
