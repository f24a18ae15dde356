import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** With `node -e` the arguments begin at 1. */
const SCRIPT = `require('node:fs').copyFileSync(process.argv[1], process.argv[2], ${constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL})`;

/**
 * Copies a file that DuckDB has open, in a process of its own: the system drops the lock on a file when the process that holds it
 * closes any descriptor of that file, and a copy opens and closes one (fcntl(2), "advisory record locking").
 * Rejects when the target is there already.
 */
export async function copyLockedFile(from: string, to: string): Promise<void> {
  await run(process.execPath, ['-e', SCRIPT, from, to], { env: {} });
}
