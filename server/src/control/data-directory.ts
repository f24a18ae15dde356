import { lstatSync, mkdirSync, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What the data directory and everything in it may be read by: its owner alone. */
export const PRIVATE_UMASK = 0o077;

const PRIVATE_MODE = 0o700;

/** Characters that DuckDB takes for options of a file or for patterns, and that ICU takes for the end of a path. */
const UNUSABLE: readonly string[] = ['?', '\\', ':'];
const UNUSABLE_TEXT =
  'the database and its timezone data cannot be opened there; name another directory, without ? \\ and :';

/** The data directory cannot be used; the message says why and what to do. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/**
 * Makes the data directory where it is missing, readable by its owner alone, and tries whether files can be made in it.
 * Step by step: Node's own recursive way never ends below /proc.
 * @throws DirectoryError
 */
export function makeDataDirectory(path: string): void {
  const character = UNUSABLE.find((found) => path.includes(found));
  if (character !== undefined)
    throw new DirectoryError(`${path} has a ${character} in its path: ${UNUSABLE_TEXT}`);
  try {
    makeWithParents(path);
  } catch (error) {
    throw new DirectoryError(`${path} cannot be made: ${reason(error)}`, { cause: error });
  }
  if (!statSync(path).isDirectory())
    throw new DirectoryError(`${path} is a file: remove it, or name a directory`);
  try {
    rmdirSync(mkdtempSync(join(path, 'probe-')));
  } catch (error) {
    // A full disk is no reason to stay down: what is stored can be read, and the journal has room of its own.
    if (['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) return;
    throw new DirectoryError(`${path} cannot be written: ${reason(error)}`, { cause: error });
  }
}

/** Bits of a mode: what others may do, what the group may do, and that the group was given to it on purpose. */
const OTHERS = 0o007;
const GROUP = 0o070;
const SET_GROUP_ID = 0o2000;

/**
 * Says that more users than its owner can enter a data directory that was there before, and what to do; undefined where
 * none can. It is told and not refused: who makes volumes for containers chooses their modes. A group that comes with the
 * set-group-ID bit, as Kubernetes sets it for an fsGroup, is one made for this server.
 */
export function opennessOf(path: string): { readonly text: string; readonly help: string } | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const mode = stat.mode & 0o7777;
  const group = (mode & SET_GROUP_ID) === 0 ? mode & GROUP : 0;
  if ((mode & OTHERS) === 0 && group === 0) return undefined;
  const who = (mode & OTHERS) === 0 ? 'its group' : 'other users';
  return {
    text: `${path} lets ${who} in (mode ${mode.toString(8)})`,
    help: `chmod 700 '${path.replaceAll("'", `'\\''`)}'`,
  };
}

function makeWithParents(path: string): void {
  if (exists(path)) return;
  makeWithParents(dirname(path));
  mkdirSync(path, { mode: PRIVATE_MODE });
}

function exists(path: string): boolean {
  return path === dirname(path) || lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user has no right to; give it the right, or name another directory',
  EPERM: 'this user has no right to; give it the right, or name another directory',
  EROFS: 'the file system is read-only; name another directory',
  ENOTDIR: 'a part of the path is a file; name another directory',
  ENOENT: 'the file system takes no files there; name another directory',
  ENOSPC: 'the disk is full',
};

function reason(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}
