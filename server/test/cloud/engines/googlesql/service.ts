import { createRequire } from 'node:module';
import { join } from 'node:path';
import { homeOf } from '../engines.ts';
import { freePort, startProcess } from '../process.ts';

/** How long one call may take, in milliseconds. */
const CALL_TIMEOUT_MS = 60_000;
const MESSAGE_BYTES_MAX = 500 * 1024 * 1024;

/** What is used of Google's gRPC client; it lives in the engine's home, so its types are not ours to import. */
type Call = (
  request: object,
  options: { deadline: number },
  done: (error: { details: string } | null, answer: unknown) => void,
) => void;
interface Client extends Record<'analyze' | 'evaluateQuery' | 'getLanguageOptions', Call> {
  waitForReady(deadline: number, done: (error?: Error) => void): void;
  close(): void;
}
interface Grpc {
  loadPackageDefinition(definition: unknown): {
    zetasql: {
      local_service: {
        ZetaSqlLocalService: new (address: string, credentials: unknown, options: object) => Client;
      };
    };
  };
  credentials: { createInsecure(): unknown };
}
interface ProtoLoader {
  loadSync(file: string, options: object): unknown;
}

export interface Service {
  readonly pid: number;
  call(method: 'analyze' | 'evaluateQuery' | 'getLanguageOptions', request: object): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts the engine's local service and connects to it. */
export async function startService(): Promise<Service> {
  const home = homeOf('googlesql');
  const library = join(home, 'node_modules/@fivetrandevelopers/zetasql/lib/zetasql');
  const arm = process.arch.startsWith('arm') ? '_arm' : '';
  const port = await freePort();
  const engine = await startProcess({
    command: join(library, `remote_server${arm}${process.platform === 'darwin' ? '' : '.so'}`),
    args: ['127.0.0.1', String(port)],
    ready: /Server listening/,
    // It does not watch its input.
    ends: 'SIGTERM',
  });
  const require = createRequire(join(home, 'package.json'));
  const grpc = require('@grpc/grpc-js') as Grpc;
  const loader = require('@grpc/proto-loader') as ProtoLoader;
  const definition = loader.loadSync('local_service.proto', {
    oneofs: true,
    longs: String,
    enums: String,
    includeDirs: [join(library, 'protos')],
  });
  const { ZetaSqlLocalService } = grpc.loadPackageDefinition(definition).zetasql.local_service;
  const client = new ZetaSqlLocalService(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  });
  return {
    pid: engine.pid,
    call: (method, request) =>
      new Promise((done, fail) => {
        client[method](request, { deadline: Date.now() + CALL_TIMEOUT_MS }, (error, answer) => {
          if (error === null) done(answer);
          else fail(new Error(error.details));
        });
      }),
    stop: () => {
      client.close();
      return engine.stop();
    },
  };
}
