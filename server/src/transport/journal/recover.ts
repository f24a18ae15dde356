import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JOURNAL_FILE } from './store.ts';

/*
 * LMDB maps its file into memory and trusts its pages: a file that was cut or overwritten can end the process
 * that reads it. So after anything but a clean shutdown, the journal is first read from end to end by a child
 * process. When the child does not come through, the file is set aside and what can be read of it is copied
 * into a new one, from both ends up to the damage.
 */

/** Present while the journal is closed in order. */
const CLEAN_MARK = 'journal.clean';

/** Longest time for one child, in milliseconds; a journal is bounded, so this is minutes above what it takes. */
const CHILD_TIMEOUT_MS = 300_000;

/** What was done about a damaged journal. */
export interface Recovery {
  /** Where the damaged file is now. */
  readonly setAside: string;
  /** Records copied out of it. */
  readonly salvaged: number;
}

/** Call before the journal is opened. Returns what was done when the file was damaged. */
export function recoverJournal(directory: string, nowMs: number): Recovery | undefined {
  const path = join(directory, JOURNAL_FILE);
  const clean = existsSync(join(directory, CLEAN_MARK));
  rmSync(join(directory, CLEAN_MARK), { force: true });
  if (clean || !existsSync(path) || (statSync(path).size > 0 && runChild('check', path))) return undefined;
  const setAside = join(directory, `journal.damaged-${nowMs}.lmdb`);
  renameSync(path, setAside);
  rmSync(`${path}-lock`, { force: true });
  runChild('forward', setAside, path);
  runChild('backward', setAside, path);
  return { setAside, salvaged: Number(runChild('count', path) || 0) };
}

/** Call after the journal was closed in order. */
export function markClean(directory: string): void {
  writeFileSync(join(directory, CLEAN_MARK), '');
}

/** Runs a step of `recover-child.ts`; its output, or an empty text when it died or failed. */
function runChild(step: string, ...paths: string[]): string {
  const child = fileURLToPath(new URL(`./recover-child${import.meta.url.slice(-3)}`, import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [child, step, ...paths], {
    timeout: CHILD_TIMEOUT_MS,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? stdout : '';
}
