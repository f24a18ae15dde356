import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Longest path that every system takes for a Unix socket. */
const SOCKET_PATH_BYTES_MAX = 100;

/** Where the server of a data directory listens for commands: in the directory, or in tmp when the path is too long. */
export function socketPath(dataDirectory: string): string {
  const path = join(dataDirectory, 'control.sock');
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
  const name = createHash('sha256').update(dataDirectory).digest('hex').slice(0, 16);
  return join(tmpdir(), `daybook-${name}.sock`);
}

/** What a running server says of itself. */
export interface ControlStatus {
  readonly pid: number;
  /** Base URL of the API. */
  readonly url: string;
  readonly version: string;
}
