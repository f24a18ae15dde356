import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../event/strict-json.ts';
import type { Access } from './keys.ts';

/** Hashes of keys that the server made itself, in the data directory. Without the file, new keys are made. */
const KEYS_FILE = 'keys.json';
const PRIVATE_MODE = 0o600;

type Hashes = Readonly<Record<Access, readonly string[]>>;

export interface StoredKeys {
  readonly hashes: Hashes;
  /** Keys that were made just now, to be shown once: they are stored nowhere. */
  readonly made: Readonly<Partial<Record<Access, string>>>;
  readonly path: string;
}

/**
 * The keys of a data directory, which must be there; makes those of `needed` that it has none of.
 * @throws Error when the file is not what was written
 */
export function storedKeys(directory: string, needed: readonly Access[], newKey: () => string): StoredKeys {
  const path = join(directory, KEYS_FILE);
  const before = readHashes(path);
  const missing = needed.filter((access) => before[access].length === 0);
  const made = Object.fromEntries(missing.map((access) => [access, newKey()]));
  const hashes = { ...before };
  for (const [access, key] of Object.entries(made)) hashes[access as Access] = [hashOf(key)];
  if (missing.length > 0) {
    writeFileSync(path, `${JSON.stringify(hashes, undefined, 2)}\n`, { mode: PRIVATE_MODE, flush: true });
  }
  return { hashes, made, path };
}

function readHashes(path: string): Hashes {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { write: [], read: [] };
    throw error;
  }
  const { write, read } = parsed(text);
  if (isHashes(write) && isHashes(read)) return { write, read };
  throw new Error(`${path} is not what Daybook wrote: remove it, and new keys are made at the next start`);
}

function parsed(text: string): { readonly write?: unknown; readonly read?: unknown } {
  try {
    return parseJson(text) ?? {};
  } catch {
    return {};
  }
}

function isHashes(value: unknown): value is string[] {
  return (
    Array.isArray(value) && value.every((hash) => typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash))
  );
}

/** A made key has 192 random bits, so that one plain hash is enough. */
function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
