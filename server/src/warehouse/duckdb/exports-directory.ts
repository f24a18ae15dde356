import { mkdirSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { StoreError } from '../../event/store-error.ts';
import { EXPORTS_DIRECTORY } from './confine.ts';

/** A slice that was written so long ago has lost its reader, who removes it when the export has ended, in milliseconds. */
const ABANDONED_MS = 3_600_000;

/** Where a slice may be written. */
export function exportPath(dataDirectory: string, name: string): string {
  return join(dataDirectory, EXPORTS_DIRECTORY, name);
}

/** Removes what exports have left behind. Call when no other process can use the data directory. */
export function clearExports(dataDirectory: string): void {
  rmSync(join(dataDirectory, EXPORTS_DIRECTORY), { recursive: true, force: true });
}

/**
 * Makes the directory, for its owner alone, and removes abandoned slices. Returns the path as DuckDB compares it: without
 * links.
 * @throws StoreError `rejected` when the path is not in it
 */
export function prepareExport(dataDirectory: string, path: string): string {
  const directory = join(dataDirectory, EXPORTS_DIRECTORY);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) {
    const file = join(directory, name);
    const { mtimeMs = Infinity } = statSync(file, { throwIfNoEntry: false }) ?? {};
    if (Date.now() - mtimeMs > ABANDONED_MS) rmSync(file, { force: true });
  }
  const real = realpathSync(directory);
  if (realPath(dirname(path)) !== real || basename(path) === '')
    throw new StoreError('rejected', `duckdb: an export is written in ${directory}, not to ${path}`);
  return join(real, basename(path));
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
