import { randomUUID } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  lchownSync,
  lstatSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
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
 * The file can be removed, the lock not: whoever removes it lets a second process make another file and lock that. So there is
 * a lease:
 *  - The owner acknowledges no event unless it looked within the last 250 ms (`OWNED_MS` of the journal's publisher) whether
 *    the path still leads to the file that it locked.
 *  - A process that has locked a file which is younger than `SETTLE_MS`, whoever made it, waits until the file is that old.
 *    By then an owner of an older file acknowledges nothing.
 *  - An owner whose file is gone makes another one only within `REMAKE_MS` of its last good look: later, a process may have
 *    come and gone in between.
 *
 * A POSIX lock is dropped when its process closes any descriptor of the file: nobody but SQLite may open it.
 */

/** The file's name in the data directory. */
const LOCK_FILE = 'lock';

/** Age from which a lock file counts, in milliseconds. More than twice the time between two looks of an owner. */
const SETTLE_MS = 1_000;

/** Age of the last good look up to which a lock file that is gone is made anew, in milliseconds. */
const REMAKE_MS = SETTLE_MS / 2;

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
  /** When the path was last seen to lead to the locked file, on the monotonic clock. */
  #seenMs = performance.now();

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
    const lock = new DirectoryLock(directory, await waitForFile(directory, path));
    await sleep(unsettledMs(directory, path));
    if (sameFile(lock.#held!.identity, identityOf(path))) {
      lock.#seenMs = performance.now();
      return lock;
    }
    lock.release();
    throw new DirectoryInUseError(`${path} was removed while it was waited for: try again`);
  }

  /**
   * Why the directory is not this process's own any more; undefined while it is. A lock file that was removed just now is
   * made anew, unless another process was faster. Throws the system's error when it cannot look.
   */
  loss(): string | undefined {
    const path = join(this.#directory, LOCK_FILE);
    if (this.#held === undefined) return `the lock of ${this.#directory} was released`;
    const lookedAtMs = performance.now();
    if (!sameFile(this.#held.identity, identityOf(path))) {
      const again = lookedAtMs - this.#seenMs < REMAKE_MS ? this.#remake(path) : undefined;
      if (again === undefined)
        return `${path} was removed, and the directory is gone or belongs to another process now`;
      this.#held.database.close();
      this.#held = again;
    }
    this.#seenMs = lookedAtMs;
    return undefined;
  }

  #remake(path: string): HeldFile | undefined {
    try {
      return existsSync(this.#directory) ? lockFile(path) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Releases the lock when the work has ended, however it ended. */
  async during<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.release();
    }
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
    // Errors about a foreign socket are reported where the socket is used.
    const server = await new ControlClient(directory).status().catch(() => undefined);
    if (server === undefined && performance.now() <= deadlineMs) {
      await sleep(RETRY_MS);
      continue;
    }
    if (server === undefined) requireLocks(directory);
    throw new DirectoryInUseError(inUseText(directory, server));
  }
}

/** How long to wait until an owner of an older lock file acknowledges nothing; 0 where nothing but the lock is there. */
function unsettledMs(directory: string, path: string): number {
  if (readdirSync(directory).length <= 1) return 0;
  const { ctimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { ctimeMs: Date.now() };
  // A clock that was set back says nothing about the age.
  const ageMs = Math.max(0, Date.now() - ctimeMs);
  return Math.max(0, SETTLE_MS - ageMs);
}

/**
 * SQLite answers the same whether a lock is held or cannot be had.
 * @throws DirectoryError where the file system has no locks
 */
function requireLocks(directory: string): void {
  const path = join(directory, `${LOCK_FILE}-${randomUUID()}`);
  const database = lockDatabase(path);
  database?.close();
  rmSync(path, { force: true });
  if (database === undefined)
    throw new DirectoryError(`the file system of ${directory} has no locks: name a directory on another one`);
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

/** Undefined when another process holds it. @throws DirectoryError */
function lockFile(path: string): HeldFile | undefined {
  const fresh = checkFile(path);
  const database = lockDatabase(path);
  if (database === undefined) return undefined;
  if (fresh) giveToOwner(path);
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

/** Whether the file is to be made. @throws DirectoryError where it is no file that this process may lock */
function checkFile(path: string): boolean {
  const present = lstatSync(path, { throwIfNoEntry: false });
  if (present === undefined) return true;
  if (!present.isFile()) throw new DirectoryError(`${path} is not a plain file: remove it`);
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw new DirectoryError(
      `${path} cannot be opened by this user: it belongs to user ${present.uid}, give it to the owner of the directory`,
      { cause: error },
    );
  }
  return false;
}

/** What root makes, for example by `sudo daybook doctor`, must not keep the directory's owner off. */
function giveToOwner(path: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  lchownSync(path, uid, gid);
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
