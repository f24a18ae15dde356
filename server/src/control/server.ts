import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { parseJson } from '../event/strict-json.ts';
import { ControlClient } from './client.ts';
import { DirectoryError } from './data-directory.ts';
import { DirectoryInUseError, inUseText } from './directory-lock.ts';
import { makeSocketPlace, type ControlStatus, type SocketPlace } from './socket.ts';

const ARGUMENT_BYTES_MAX = 64 * 1_024;

/** Name → what a command does with its argument; the signal fires when the caller is gone. */
export type Commands = Readonly<Record<string, (argument: unknown, signal: AbortSignal) => Promise<unknown>>>;

/**
 * Takes commands from this machine's user over a Unix socket (mode 0600): nothing of it can be reached over the
 * network. Only the process that holds the directory's lock may listen.
 */
export class ControlServer {
  readonly #dataDirectory: string;
  readonly #server: Server;
  #place: SocketPlace | undefined;

  constructor(dataDirectory: string, commands: Commands) {
    this.#dataDirectory = dataDirectory;
    this.#server = createServer((request, response) => void answer(commands, request, response));
  }

  /** @throws DirectoryInUseError when a server of a version without the lock answers on the socket */
  async listen(): Promise<void> {
    const other = await this.#olderServer();
    if (other !== undefined) throw new DirectoryInUseError(inUseText(this.#dataDirectory, other));
    this.#place = makeSocketPlace(this.#dataDirectory);
    await rm(this.#place.path, { force: true });
    await this.#listenOn(this.#place.path);
  }

  /** A socket that another user made is no server's, and is removed: this process holds the lock. */
  async #olderServer(): Promise<ControlStatus | undefined> {
    try {
      return await new ControlClient(this.#dataDirectory).status();
    } catch (error) {
      if (error instanceof DirectoryError) return undefined;
      throw error;
    }
  }

  #listenOn(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      const umask = process.umask(0o177);
      this.#server.listen(path, () => {
        this.#server.off('error', reject);
        resolve();
      });
      process.umask(umask);
    });
  }

  /** `lost`: the socket's path belongs to another process, and closing would remove that one's. */
  close(lost = false): Promise<void> {
    this.#server.closeAllConnections();
    if (lost) {
      this.#server.unref();
      return Promise.resolve();
    }
    return new Promise((resolve) =>
      this.#server.close(() => {
        this.#place?.remove();
        resolve();
      }),
    );
  }
}

async function answer(commands: Commands, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let result: { value: unknown } | { error: string };
  try {
    const command = commands[(request.url ?? '').slice(1)];
    if (command === undefined) throw new Error('this Daybook does not know the command');
    const argument = parseJson(await body(request));
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    result = { value: (await command(argument, gone.signal)) ?? null };
  } catch (error) {
    result = { error: error instanceof Error ? error.message : String(error) };
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(result));
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ARGUMENT_BYTES_MAX) throw new Error('the argument is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
