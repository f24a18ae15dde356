import { execFile } from 'node:child_process';
import { constants } from 'node:fs';

const FLAGS = constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL;

/** With `node -e` the arguments begin at 1. A failure is told as the system's code and its message, a line each. */
const SCRIPT = `
try { require('node:fs').copyFileSync(process.argv[1], process.argv[2], ${FLAGS}); }
catch (error) { process.stderr.write(error.code + '\\n' + error.message); process.exitCode = 1; }`;

/**
 * Copies a file that DuckDB has open, in a process of its own: the system drops the lock on a file when the process that holds it
 * closes any descriptor of that file, and a copy opens and closes one (fcntl(2), "advisory record locking").
 * Rejects with the system's error, also when the target is there already.
 */
export function copyLockedFile(from: string, to: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['-e', SCRIPT, from, to], { env: {} }, (error, _out, told) => {
      if (error === null) return resolve();
      const [code, message] = told.split('\n', 2);
      reject(message === undefined ? error : Object.assign(new Error(message), { code }));
    });
  });
}
