import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DirectoryError } from './data-directory.ts';

/*
 * Where a server listens for commands: on `control.sock` in its data directory. Systems take about 100 bytes for the path
 * of a Unix socket; where the directory's is longer the socket lies in a folder of its own in the temporary directory, and the file
 * `control` in the data directory says where. Commands carry keys and events: both sides check that nobody but the
 * owner can have made the socket.
 */

const SOCKET_FILE = 'control.sock';
/** Says where the socket is, when it does not fit into the data directory. */
const NOTE_FILE = 'control';

/** Longest path that every system takes for a Unix socket. */
const SOCKET_PATH_BYTES_MAX = 100;

const FOLDER_PREFIX = 'daybook-';

/** A socket's place, as the server made it. */
export interface SocketPlace {
  readonly path: string;
  /** Removes what was made for it beside the socket itself. */
  remove(): void;
}

/** Makes the place of the server's socket. Only for the process that holds the directory's lock. */
export function makeSocketPlace(dataDirectory: string): SocketPlace {
  const path = join(dataDirectory, SOCKET_FILE);
  removeNote(dataDirectory);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, remove: () => undefined };
  const folder = mkdtempSync(join(shortTemporaryDirectory(), FOLDER_PREFIX));
  const noted = join(folder, SOCKET_FILE);
  const note = join(dataDirectory, NOTE_FILE);
  writeFileSync(`${note}.new`, noted, { mode: 0o600 });
  renameSync(`${note}.new`, note);
  return { path: noted, remove: () => removeNote(dataDirectory) };
}

/** TMPDIR may be too long itself. */
function shortTemporaryDirectory(): string {
  const longest = join(tmpdir(), `${FOLDER_PREFIX}XXXXXX`, SOCKET_FILE);
  return Buffer.byteLength(longest) <= SOCKET_PATH_BYTES_MAX ? tmpdir() : '/tmp';
}

/** Removes the note and the folder that it leads to, also those of a server that was killed. */
function removeNote(dataDirectory: string): void {
  const noted = readNote(dataDirectory);
  if (noted !== undefined && ownFolder(dataDirectory, noted))
    rmSync(dirname(noted), { recursive: true, force: true });
  rmSync(join(dataDirectory, NOTE_FILE), { force: true });
}

function readNote(dataDirectory: string): string | undefined {
  try {
    return readFileSync(join(dataDirectory, NOTE_FILE), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Whether the noted path is one that a server made, in a folder that only the directory's owner can use. */
function ownFolder(dataDirectory: string, noted: string): boolean {
  const folder = lstatSync(dirname(noted), { throwIfNoEntry: false });
  return (
    folder !== undefined &&
    noted === join(dirname(noted), SOCKET_FILE) &&
    dirname(noted).split('/').at(-1)!.startsWith(FOLDER_PREFIX) &&
    folder.isDirectory() &&
    (folder.mode & 0o077) === 0 &&
    isOwners(dataDirectory, folder)
  );
}

/** Made by the owner of the data directory, by this user, or by root. */
function isOwners(dataDirectory: string, { uid }: Stats): boolean {
  return [statSync(dataDirectory).uid, process.getuid?.(), 0].includes(uid);
}

/**
 * The path of the socket on which a server of this directory may listen; undefined when there is none.
 * @throws DirectoryError when somebody else has made it
 */
export function findSocket(dataDirectory: string): string | undefined {
  const inside = join(dataDirectory, SOCKET_FILE);
  const path = Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX ? inside : readNote(dataDirectory);
  const socket = path === undefined ? undefined : lstatSync(path, { throwIfNoEntry: false });
  if (path === undefined || socket === undefined) return undefined;
  const good = path === inside || ownFolder(dataDirectory, path);
  if (good && socket.isSocket() && isOwners(dataDirectory, socket)) return path;
  throw new DirectoryError(
    `${path} was made by another user (${socket.uid}) and is not used: remove it, and let nobody else write to ${dirname(path)}`,
  );
}

/** What a running server says of itself. */
export interface ControlStatus {
  readonly pid: number;
  /** Base URL of the API. */
  readonly url: string;
  readonly version: string;
}
