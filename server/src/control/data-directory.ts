import { lstatSync, mkdirSync, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What the data directory and everything in it may be read by: its owner alone. */
export const PRIVATE_UMASK = 0o077;

const PRIVATE_MODE = 0o700;

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
