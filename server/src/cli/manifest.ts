import { lstatSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkPosition } from '../event/position.ts';
import { VERSION } from '../http/version.ts';
import { printable } from '../printable.ts';
import { endOfSegments } from '../transport/journal/reader.ts';
import {
  ACKED_FILE,
  idOfRecords,
  JOURNAL_DIRECTORY,
  listSegments,
  readAcked,
} from '../transport/journal/segments.ts';
import { MIGRATIONS } from '../warehouse/duckdb/migrations.ts';
import { checkDuckdbFile, DUCKDB_FILE } from '../warehouse/duckdb/open-file.ts';
import { describeFile, type BackupFile } from './backup-files.ts';
import { parseJson } from '../event/strict-json.ts';

/*
 * A backup is a folder: `daybook.duckdb`, `journal/` and `manifest.json`, which names every file with its size and SHA-256.
 * The manifest is written last, so a folder without one is not whole. Nothing else may lie there, and no link: what a
 * backup brings into a data directory is what the manifest names, byte for byte.
 */

export const MANIFEST_FILE = 'manifest.json';

/** Where a backup is gathered in its folder until it is whole. */
export const PARTIAL_DIRECTORY = 'incomplete';

const FORMAT = 1;
const MANIFEST_BYTES_MAX = 64 * 1_024 * 1_024;

/** Files that a backup can have, relative to it. */
const FILE_NAME = new RegExp(`^(${DUCKDB_FILE}|${JOURNAL_DIRECTORY}/(${ACKED_FILE}|\\d{16}\\.log))$`);
const REQUIRED = [DUCKDB_FILE, `${JOURNAL_DIRECTORY}/${ACKED_FILE}`];

export interface Manifest {
  readonly format: typeof FORMAT;
  /** The Daybook that made the backup, and the version of its tables. */
  readonly daybook: string;
  readonly schema: number;
  readonly created_at: string;
  readonly files: readonly BackupFile[];
}

/** A backup whose files are all there, as long as they should be, and no link; their contents are not read yet. */
export interface Backup {
  readonly directory: string;
  /** Absent for one of a Daybook that wrote none. */
  readonly manifest?: Manifest;
  readonly paths: readonly string[];
}

/**
 * Looks at a backup before anything of it is used. `bare`: also takes one without a manifest, of which nobody can tell
 * whether it is whole.
 * @throws Error that says what is missing, too much, or different
 */
export function openBackup(path: string, { bare }: { readonly bare: boolean }): Backup {
  const directory = realDirectory(path);
  const names = namesIn(directory);
  if (names.includes(PARTIAL_DIRECTORY)) throw new Error(`${directory} is not whole: ${KILLED}`);
  const missing = REQUIRED.find((name) => kindOf(directory, name) === undefined);
  if (missing !== undefined) throw new Error(`${directory} is not a backup: it has no ${missing}`);
  const paths = filesOf(
    directory,
    names.filter((name) => name !== MANIFEST_FILE),
  );
  if (!names.includes(MANIFEST_FILE)) {
    if (bare) return { directory, paths };
    throw new Error(
      `${directory} has no ${MANIFEST_FILE}: the backup was killed before it was whole, or an older Daybook made it. If you ` +
        'know that it is whole, call restore with --without-manifest',
    );
  }
  const manifest = readManifest(directory);
  compare(directory, manifest, paths);
  return { directory, manifest, paths };
}

const KILLED = 'the backup was killed, or it is still being made. Remove it and make another';

function realDirectory(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`there is no ${path}`);
  // Whoever calls the command may name the folder over a link, such as "latest"; inside there is none.
  return realpathSync(path);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
    throw new Error(`${directory} is not a backup: it is a file`, { cause: error });
  }
}

function kindOf(directory: string, name: string): 'file' | 'directory' | 'link' | 'other' | undefined {
  const stat = lstatSync(join(directory, name), { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) return 'link';
  return stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other';
}

/** @throws Error when anything is there that is no file of a backup */
function filesOf(directory: string, names: readonly string[]): string[] {
  return names.flatMap((name): string[] => {
    const kind = kindOf(directory, name);
    if (kind === 'directory' && name === JOURNAL_DIRECTORY) {
      return filesOf(
        directory,
        readdirSync(join(directory, name)).map((file) => `${name}/${file}`),
      );
    }
    const shown = printable(join(directory, name));
    if (kind === 'link') throw new Error(`${shown} is a link, and a backup has none: it is not restored`);
    if (kind !== 'file' || !FILE_NAME.test(name)) {
      throw new Error(`${shown} is no part of a backup: move it away if the backup is otherwise yours`);
    }
    return [name];
  });
}

function readManifest(directory: string): Manifest {
  const path = join(directory, MANIFEST_FILE);
  const stat = lstatSync(path);
  if (!stat.isFile()) throw new Error(`${path} is a link or no file: the backup is not restored`);
  const value = stat.size > MANIFEST_BYTES_MAX ? undefined : parsed(readFileSync(path, 'utf8'));
  if (value === undefined) throw new Error(`${path} is damaged: the backup cannot be checked`);
  if (value.format !== FORMAT) {
    throw new Error(
      `${path} has format ${printable(String(value.format))}, this Daybook knows ${FORMAT}: use a newer Daybook`,
    );
  }
  if (!isManifest(value)) throw new Error(`${path} is damaged: the backup cannot be checked`);
  if (value.schema > MIGRATIONS.length) {
    throw new Error(
      `the backup was made by Daybook ${printable(value.daybook)} with schema version ${value.schema}, this Daybook knows ` +
        `${MIGRATIONS.length}: use a newer Daybook`,
    );
  }
  return value;
}

function parsed(text: string): Partial<Manifest> | undefined {
  try {
    const value: unknown = parseJson(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function isManifest(value: Partial<Manifest>): value is Manifest {
  const { daybook, schema, created_at: createdAt, files } = value;
  return (
    typeof daybook === 'string' &&
    Number.isInteger(schema) &&
    typeof createdAt === 'string' &&
    Array.isArray(files) &&
    (files as readonly Partial<BackupFile>[]).every(
      ({ path, bytes, sha256 }) =>
        FILE_NAME.test(String(path)) && Number.isSafeInteger(bytes) && /^[0-9a-f]{64}$/.test(String(sha256)),
    )
  );
}

function compare(directory: string, { files }: Manifest, paths: readonly string[]): void {
  const named = new Set(files.map(({ path }) => path));
  if (named.size < files.length) throw new Error(`${directory}: its manifest names a file twice`);
  const extra = paths.find((path) => !named.has(path));
  if (extra !== undefined) throw new Error(`${directory} has ${extra}, which its manifest does not name`);
  for (const { path, bytes } of files) {
    if (!paths.includes(path)) throw new Error(`${directory} is not whole: it has no ${path}`);
    const { size } = lstatSync(join(directory, path));
    if (size !== bytes)
      throw new Error(`${join(directory, path)} has ${size} bytes, and should have ${bytes}`);
  }
}

/** Reads every file of a backup. @throws Error when one is not what the manifest says */
export async function checkContents(directory: string, files: readonly BackupFile[]): Promise<void> {
  for (const { path, bytes, sha256 } of files) {
    const found = await describeFile(directory, path, false);
    if (found.sha256 !== sha256 || found.bytes !== bytes)
      throw new Error(`${join(directory, path)} is damaged: it is not what was backed up`);
  }
}

/**
 * Checks a backup whose segments are put back into a journal that stays: the journal that comes of it may not end before what
 * the database of the backup holds.
 * @throws Error when it does
 */
export async function checkJoined(journal: string, restoring: string): Promise<void> {
  const copy = join(restoring, JOURNAL_DIRECTORY);
  const id = readAcked(journal)?.id ?? '';
  const end = [journal, copy].reduce<{ segment: number; end: number }>(
    (last, directory) => {
      const segment = listSegments(directory).at(-1) ?? -1;
      return segment > last.segment ? { segment, end: endOfSegments(directory, id) } : last;
    },
    { segment: -1, end: 0 },
  ).end;
  const stored = (await checkDuckdbFile(restoring)).find(({ source }) => source === id)?.end ?? 0;
  const acked = readAcked(copy)?.position ?? 0;
  if (stored > Math.max(acked, end))
    throw new Error(
      `${DUCKDB_FILE} is at position ${stored}, and the journal in the data directory ends at ${end}: it has lost events; ` +
        'move it aside, and restore again',
    );
}

/**
 * Checks that the database of a backup is ours, and that neither it nor the note of what is acknowledged is ahead of the
 * journal beside it: events taken after a restore would be given positions that count as stored.
 * @throws Error that says which is
 */
export async function checkStores(directory: string): Promise<void> {
  const positions = await checkDuckdbFile(directory);
  const journal = join(directory, JOURNAL_DIRECTORY);
  const acked = readAcked(journal);
  const id = acked?.id ?? idOfRecords(journal);
  if (id === undefined) return;
  const end = checkPosition(endOfSegments(journal, id), 'journal: the last segment');
  const stored = positions.find(({ source }) => source === id)?.end ?? 0;
  for (const [name, position] of [
    [`${JOURNAL_DIRECTORY}/${ACKED_FILE}`, acked?.position ?? 0],
    [DUCKDB_FILE, stored],
  ] as const) {
    if (position > end)
      throw new Error(`${name} is at position ${position}, and the journal beside it ends at ${end}`);
  }
}

/** Names what lies in a folder, synced, and writes its manifest there. */
export async function writeManifest(directory: string, schema: number): Promise<Manifest> {
  const files: BackupFile[] = [];
  for (const path of filesOf(directory, readdirSync(directory)))
    files.push(await describeFile(directory, path, true));
  const createdAt = new Date().toISOString();
  const manifest: Manifest = { format: FORMAT, daybook: VERSION, schema, created_at: createdAt, files };
  writeFileSync(join(directory, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`, {
    mode: 0o600,
    flush: true,
  });
  return manifest;
}
