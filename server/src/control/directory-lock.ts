import { existsSync, lchownSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from './client.ts';
import { DirectoryError } from './data-directory.ts';
import type { ControlStatus } from './socket.ts';

/*
 * One process at a time works on a data directory. The kernel holds the lock and drops it when the process ends, however it
 * ends. Node has no call for file locks; SQLite, which comes with Node, takes POSIX locks on the file `lock` and
 * nothing is ever written to it. docs/adr/0020 says why, and what holds on network file systems and in containers.
 *
 * The file can be removed, the lock not: whoever removes it lets a second process make another file and lock that. Therefore
 *  - the owner looks at least every `CHECK_MS` whether the path still leads to the file that it locked, and acknowledges
 *    no event on an older look;
 *  - a process that had to make the file beside other files waits `FRESH_LOCK_WAIT_MS`, until an owner has noticed.
 *
 * A POSIX lock is dropped when its process closes any descriptor of the file: nobody but SQLite may open it.
 */

/** The file's name in the data directory. */
const LOCK_FILE = 'lock';

/** The owner of a data directory looks this often whether it still is, in milliseconds. */
const CHECK_MS = 250;

/** Longer than an owner takes to notice that its lock file was removed. */
const FRESH_LOCK_WAIT_MS = 4 * CHECK_MS;

/** How long a start waits for a process that is about to end, in milliseconds. */
const PATIENCE_MS = 1_000;
const RETRY_MS = 50;

const SQLITE_BUSY = 5;

/** Another process works on the data directory. */
export class DirectoryInUseError extends Error {
  override readonly name = 'DirectoryInUseError';
}

/** The lock of a data directory, held by this process until it releases it or ends. */
export class DirectoryLock {
  readonly #directory: string;
  #held: HeldFile | undefined;

  private constructor(directory: string, held: HeldFile) {
    this.#directory = directory;
    this.#held = held;
  }

  /**
   * Takes the lock of an existing directory. Waits up to a second for its owner to end, unless that is a server.
   * @throws DirectoryInUseError when another process holds it; DirectoryError when the lock cannot be made
   */
  static async acquire(directory: string): Promise<DirectoryLock> {
    const path = join(directory, LOCK_FILE);
    const fresh = !existsSync(path) && readdirSync(directory).length > 0;
    const lock = new DirectoryLock(directory, await waitForFile(directory, path));
    if (fresh) await sleep(FRESH_LOCK_WAIT_MS);
    const loss = lock.loss();
    if (loss === undefined) return lock;
    lock.release();
    throw new DirectoryInUseError(loss);
  }

  /**
   * Why the directory is not this process's own any more; undefined while it is. A lock file that was removed is made
   * anew, unless another process was faster.
   */
  loss(): string | undefined {
    const path = join(this.#directory, LOCK_FILE);
    if (this.#held === undefined) return `the lock of ${this.#directory} was released`;
    if (sameFile(this.#held.identity, identityOf(path))) return undefined;
    const again = existsSync(this.#directory) ? tryLockFile(path) : undefined;
    if (again === undefined)
      return `${path} was removed, and the directory is gone or belongs to another process now`;
    this.#held.database.close();
    this.#held = again;
    return undefined;
  }

  /** Releasing twice is allowed. */
  release(): void {
    this.#held?.database.close();
    this.#held = undefined;
  }
}

async function waitForFile(directory: string, path: string): Promise<HeldFile> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const held = lockFile(path);
    if (held !== undefined) return held;
    // Whoever made a socket that is no server's is told of by those who would use it.
    const server = await new ControlClient(directory).status().catch(() => undefined);
    if (server !== undefined || performance.now() > deadlineMs)
      throw new DirectoryInUseError(inUseText(directory, server));
    await sleep(RETRY_MS);
  }
}

/** What to say when another process works on the directory. */
export function inUseText(directory: string, server?: ControlStatus): string {
  const who =
    server === undefined ? 'another process' : `another Daybook (process ${server.pid}, ${server.url})`;
  return `${who} uses ${directory} already: stop it first, or set DAYBOOK_DATA_DIR to another directory`;
}

interface HeldFile {
  readonly database: DatabaseSync;
  readonly identity: FileIdentity;
}

/** A file, whatever its name. */
interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

function identityOf(path: string): FileIdentity | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function sameFile(one: FileIdentity, other: FileIdentity | undefined): boolean {
  return other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

function tryLockFile(path: string): HeldFile | undefined {
  try {
    return lockFile(path);
  } catch {
    return undefined;
  }
}

/** Undefined when another process holds it. @throws DirectoryError */
function lockFile(path: string): HeldFile | undefined {
  const made = madeForOwner(path);
  const database = lockDatabase(path);
  if (database === undefined) return undefined;
  made();
  // The path leads to the locked file when a second lock is refused.
  const identity = identityOf(path);
  const second = lockDatabase(path);
  const certain = second === undefined && identity !== undefined && sameFile(identity, identityOf(path));
  second?.close();
  if (certain) return { database, identity };
  database.close();
  return undefined;
}

function lockDatabase(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw new DirectoryError(`${path} cannot be locked: ${(error as Error).message}`, { cause: error });
  }
}

/** Refuses what is no file of ours. Returns what gives a file that root makes to the owner of the directory. */
function madeForOwner(path: string): () => void {
  const present = lstatSync(path, { throwIfNoEntry: false });
  if (present !== undefined && !present.isFile())
    throw new DirectoryError(`${path} is not a plain file: remove it`);
  if (present !== undefined || process.getuid?.() !== 0) return () => undefined;
  const { uid, gid } = statSync(join(path, '..'));
  return () => lchownSync(path, uid, gid);
}

/** The server of a directory, or the right to work on it in place. Exactly one of the two is there. */
export type ServerOrLock =
  { readonly server: ControlClient; readonly status: ControlStatus } | { readonly lock: DirectoryLock };

/**
 * Finds the server of an existing directory, or takes its lock where none runs.
 * @throws DirectoryInUseError when another command works on it
 */
export async function serverOrLock(directory: string): Promise<ServerOrLock> {
  const server = new ControlClient(directory);
  const running = await server.status();
  if (running !== undefined) return { server, status: running };
  try {
    return { lock: await DirectoryLock.acquire(directory) };
  } catch (error) {
    // It was starting.
    const started = error instanceof DirectoryInUseError ? await server.status() : undefined;
    if (started !== undefined) return { server, status: started };
    throw error;
  }
}
