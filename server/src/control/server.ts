import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ControlClient } from './client.ts';
import { socketPath, type ControlStatus } from './socket.ts';

const ARGUMENT_BYTES_MAX = 64 * 1_024;

/** Another process serves the data directory. */
export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError';
}

/** Name → what a command does with its argument; the signal fires when the caller is gone. */
export type Commands = Readonly<Record<string, (argument: unknown, signal: AbortSignal) => Promise<unknown>>>;

/**
 * Takes commands from this machine's user over a Unix socket in the data directory (mode 0600): nothing of it
 * can be reached over the network. Listening on it is also what keeps a second server off the directory.
 */
export class ControlServer {
  readonly #dataDirectory: string;
  readonly #server: Server;

  constructor(dataDirectory: string, commands: Commands) {
    this.#dataDirectory = dataDirectory;
    this.#server = createServer((request, response) => void answer(commands, request, response));
  }

  /** @throws AlreadyRunningError when a server answers on the socket already */
  async listen(): Promise<void> {
    const path = socketPath(this.#dataDirectory);
    if (await this.#tryListen(path)) return;
    const other = await new ControlClient(this.#dataDirectory).status();
    if (other !== undefined) throw new AlreadyRunningError(alreadyRunning(this.#dataDirectory, other));
    await rm(path, { force: true });
    if (!(await this.#tryListen(path))) throw new AlreadyRunningError(alreadyRunning(this.#dataDirectory));
  }

  #tryListen(path: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE') resolve(false);
        else reject(error);
      };
      this.#server.once('error', onError);
      const umask = process.umask(0o177);
      this.#server.listen(path, () => {
        this.#server.off('error', onError);
        resolve(true);
      });
      process.umask(umask);
    });
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** What to say when the data directory is taken. */
export function alreadyRunning(dataDirectory: string, other?: ControlStatus): string {
  const who =
    other === undefined ? 'another process' : `another Daybook (process ${other.pid}, ${other.url})`;
  return `${who} uses ${dataDirectory} already: stop it first, or set DAYBOOK_DATA_DIR to another directory`;
}

async function answer(commands: Commands, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let result: { value: unknown } | { error: string };
  try {
    const command = commands[(request.url ?? '').slice(1)];
    if (command === undefined) throw new Error('this Daybook does not know the command');
    const argument: unknown = JSON.parse(await body(request));
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
