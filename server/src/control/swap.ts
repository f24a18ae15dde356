import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DirectoryError } from './data-directory.ts';
import { parseJson } from '../event/strict-json.ts';

/*
 * A restore puts several files in the place of others. What comes is copied to `restoring/` in the data directory and
 * checked there, while all that was stays as it is. Then a marker names every move, and is synced: until it is there
 * nothing has changed, from then on the restore goes on to its end, by whoever comes next: a start, a command, another
 * restore. Each move is a rename within the directory, and which ones are done can be seen from where the files lie.
 */

/** Where a restore gathers what it is about to put in place. */
export const RESTORING_DIRECTORY = 'restoring';

/** The marker. Its presence means: the moves in it must be made before anything is opened. */
export const SWAP_FILE = 'restore.json';

/** Moves within the data directory; names are paths relative to it. */
export interface Swap {
  /** The folder that what was there goes to. */
  readonly aside: string;
  /** What goes there, where it is present. */
  readonly move: readonly string[];
  /** What comes out of `restoring/`, over a file of the same name. */
  readonly place: readonly string[];
}

/** Called before each change to the disk; lets tests stop at any of them. */
type Watch = (change: string) => void;

/** Decides that the moves are made. `restoring/` must be whole and synced by now. */
export function beginSwap(dataDirectory: string, swap: Swap, watch: Watch = () => undefined): void {
  const path = join(dataDirectory, SWAP_FILE);
  const written = `${path}.new`;
  syncDirectory(join(dataDirectory, RESTORING_DIRECTORY));
  watch('write the marker');
  writeFileSync(written, `${JSON.stringify(swap)}\n`, { mode: 0o600, flush: true });
  watch('name the marker');
  renameSync(written, path);
  syncDirectory(dataDirectory);
}

/**
 * Makes the moves that a marker names, as far as they are not made yet, and removes it. Returns them; undefined where no
 * marker is. Must be called by who holds the data directory, before it opens anything there.
 * @throws DirectoryError when the marker cannot be read, or what should come is gone; nothing is moved then
 */
export function finishSwap(dataDirectory: string, watch: Watch = () => undefined): Swap | undefined {
  const swap = readSwap(dataDirectory);
  if (swap === undefined) return undefined;
  const inside = (...names: string[]) => join(dataDirectory, ...names);
  const waits = (name: string) => existsSync(inside(RESTORING_DIRECTORY, name));
  requireGathered(dataDirectory, swap);
  for (const name of swap.move) {
    const aside = inside(swap.aside, name);
    // What is in place by now is not what was there before.
    const placed = swap.place.includes(name) && !waits(name);
    if (placed || existsSync(aside) || !existsSync(inside(name))) continue;
    watch(`move ${name} aside`);
    mkdirSync(dirname(aside), { recursive: true, mode: 0o700 });
    renameSync(inside(name), aside);
  }
  if (existsSync(inside(swap.aside))) syncDirectory(inside(swap.aside));
  syncDirectory(dataDirectory);
  for (const name of swap.place.filter(waits)) {
    watch(`put ${name} in place`);
    renameSync(inside(RESTORING_DIRECTORY, name), inside(name));
  }
  for (const name of swap.place) syncDirectory(dirname(inside(name)));
  watch('remove what is left');
  rmSync(inside(RESTORING_DIRECTORY), { recursive: true, force: true });
  watch('remove the marker');
  rmSync(inside(SWAP_FILE));
  syncDirectory(dataDirectory);
  return swap;
}

/** Until the first move all that comes waits; later, each of it waits or is in place. */
function requireGathered(dataDirectory: string, { aside, move, place }: Swap): void {
  const stands = (...names: string[]) => existsSync(join(dataDirectory, ...names));
  const begun = move.length === 0 || move.some((name) => stands(aside, name));
  const gone = place.find((name) => !stands(RESTORING_DIRECTORY, name) && !(begun && stands(name)));
  if (gone === undefined) return;
  throw new DirectoryError(
    `${join(dataDirectory, RESTORING_DIRECTORY, gone)} is gone: the restore that was interrupted cannot go on. Move ` +
      `${SWAP_FILE} aside, and restore again with --force; what it has moved before is in ${join(dataDirectory, aside)}`,
  );
}

/** Whether a restore was interrupted after its marker was written. */
export function isSwapping(dataDirectory: string): boolean {
  return existsSync(join(dataDirectory, SWAP_FILE));
}

function readSwap(dataDirectory: string): Swap | undefined {
  const path = join(dataDirectory, SWAP_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  const swap = parsed(text);
  if (swap !== undefined) return swap;
  throw new DirectoryError(
    `${path} cannot be read: it says how a restore that was interrupted goes on. Move it and ` +
      `${RESTORING_DIRECTORY} aside, and restore again with --force`,
  );
}

/** Whether a name stays within the directory. */
function isInside(name: string): boolean {
  return name.split('/').every((part) => !['', '.', '..'].includes(part));
}

function parsed(text: string): Swap | undefined {
  try {
    const { aside, move, place } = parseJson(text) as Swap;
    const names = [aside, ...move, ...place];
    return names.every(isInside) ? { aside, move, place } : undefined;
  } catch {
    return undefined;
  }
}

/** Makes the names in a directory survive a power failure. */
export function syncDirectory(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
