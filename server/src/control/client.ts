import { request } from 'node:http';
import { dirname } from 'node:path';
import { parseJson } from '../event/strict-json.ts';
import { socketPath, type ControlStatus } from './socket.ts';

/** Sends commands to the server that runs on a data directory. */
export class ControlClient {
  readonly #path: string;

  constructor(dataDirectory: string) {
    this.#path = socketPath(dataDirectory);
  }

  /** The server's status, or undefined when none runs here. */
  async status(): Promise<ControlStatus | undefined> {
    try {
      return (await this.call('status')) as ControlStatus;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['ENOENT', 'ENOTDIR', 'ECONNREFUSED'].includes(code)) return undefined;
      if (code === 'EACCES')
        throw new Error(`${dirname(this.#path)} belongs to another user: call the command as that one`, {
          cause: error,
        });
      throw error;
    }
  }

  /** Calls a command and waits for its result, however long it takes. Rejects with the server's message. */
  call(command: string, argument: unknown = null): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { socketPath: this.#path, path: `/${command}`, method: 'POST' },
        (response) => {
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
        },
      );
      outgoing.on('error', reject);
      outgoing.end(JSON.stringify(argument));
    });
  }
}
