import { request } from 'node:http';
import { parseJson } from '../event/strict-json.ts';
import { findSocket, type ControlStatus } from './socket.ts';

/** A server answers at once, or is stopped or stuck. */
const STATUS_TIMEOUT_MS = 5_000;

/** No server listens for the directory. */
class NoServerError extends Error {
  override readonly name = 'NoServerError';

  constructor(dataDirectory: string) {
    super(`no server runs on ${dataDirectory}`);
  }
}

/** Sends commands to the server that runs on a data directory. */
export class ControlClient {
  readonly #dataDirectory: string;

  constructor(dataDirectory: string) {
    this.#dataDirectory = dataDirectory;
  }

  /** The server's status, or undefined when none runs here. */
  async status(): Promise<ControlStatus | undefined> {
    try {
      return (await this.call('status', null, STATUS_TIMEOUT_MS)) as ControlStatus;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (error instanceof NoServerError || ['ENOENT', 'ENOTDIR', 'ECONNREFUSED'].includes(code))
        return undefined;
      if (code === 'EACCES')
        throw new Error(`${this.#dataDirectory} belongs to another user: call the command as that one`, {
          cause: error,
        });
      throw error;
    }
  }

  /** Calls a command and waits for its result, by default however long it takes. Rejects with the server's message. */
  call(command: string, argument: unknown = null, timeoutMs = 0): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const socketPath = findSocket(this.#dataDirectory);
      if (socketPath === undefined) throw new NoServerError(this.#dataDirectory);
      const outgoing = request({ socketPath, path: `/${command}`, method: 'POST' }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = parseJson(Buffer.concat(chunks).toString('utf8')) as {
            value?: unknown;
            error?: string;
          };
          if (answer.error === undefined) resolve(answer.value);
          else reject(new Error(answer.error));
        });
      });
      if (timeoutMs > 0)
        outgoing.setTimeout(timeoutMs, () =>
          outgoing.destroy(
            new Error(`the server of ${this.#dataDirectory} did not answer for ${timeoutMs} ms`),
          ),
        );
      outgoing.on('error', reject);
      outgoing.end(JSON.stringify(argument));
    });
  }
}
