import { join } from 'node:path';
import { homeOf } from './engines.ts';
import { startProcess } from './process.ts';

/** What calls answer instead of the truth. See pstest/faults.go. */
export interface Fault {
  /** A gRPC status name. Absent: no error, only the delay. */
  readonly code?:
    | 'UNAVAILABLE'
    | 'RESOURCE_EXHAUSTED'
    | 'PERMISSION_DENIED'
    | 'NOT_FOUND'
    | 'DEADLINE_EXCEEDED'
    | 'INTERNAL'
    | 'INVALID_ARGUMENT'
    | 'UNAUTHENTICATED';
  /** How many calls meet it. @default until it is cleared */
  readonly count?: number;
  readonly delayMs?: number;
  /** Carry the call out and then answer with the error: stored, and the answer lost. */
  readonly after?: boolean;
  /** The method that fails. @default 'Publish' */
  readonly rpc?: string;
}

export interface Counters {
  /** Messages stored, by the topic's full name. */
  readonly topics: Readonly<Record<string, number>>;
  /** Calls answered, by method and gRPC status (`OK`, `Unavailable`, …). */
  readonly calls: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** How many calls met the fault that is set. */
  readonly faults: number;
}

export interface StoredMessage {
  readonly messageId: string;
  readonly data: string;
  readonly attributes: Readonly<Record<string, string>> | null;
  readonly publishTime: string;
  readonly deliveries: number;
  readonly acks: number;
}

export interface Pubsub {
  /** host:port, for PUBSUB_EMULATOR_HOST. */
  readonly host: string;
  readonly port: number;
  readonly projectId: string;
  readonly pid: number;
  /** What a process needs to reach it with Google's client. */
  readonly env: Readonly<Record<string, string>>;
  fault(fault: Fault): Promise<void>;
  clearFault(): Promise<void>;
  counters(): Promise<Counters>;
  /** The data of every message published to a topic (short or full name), oldest first. */
  data(topic: string): Promise<string[]>;
  messages(topic: string): Promise<StoredMessage[]>;
  /** Forgets all messages. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

export interface PubsubOptions {
  /** @default 0, a free one */
  readonly port?: number;
  /** @default 'daybook-test' */
  readonly projectId?: string;
}

/** Starts Google's in-memory Pub/Sub, with no topic. */
export async function startPubsub({
  port = 0,
  projectId = 'daybook-test',
}: PubsubOptions = {}): Promise<Pubsub> {
  const engine = await startProcess({
    command: join(homeOf('pstest'), 'pstest'),
    args: ['-port', String(port)],
    ready: /^\{.*"address".*\}$/m,
  });
  const ready = JSON.parse(engine.match[0]) as { address: string; control: string };
  const call = async (method: string, path: string, body?: unknown): Promise<string> => {
    const answer = await fetch(`http://${ready.control}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`pstest ${method} ${path}: ${await answer.text()}`);
    return answer.text();
  };
  const lines = async (kind: string, topic: string): Promise<string[]> => {
    const name = topic.includes('/') ? topic : `projects/${projectId}/topics/${topic}`;
    return (await call('GET', `/${kind}?topic=${encodeURIComponent(name)}`))
      .split('\n')
      .filter((line) => line !== '');
  };
  return {
    host: ready.address,
    port: Number(ready.address.split(':').at(-1)),
    projectId,
    pid: engine.pid,
    env: {
      PUBSUB_EMULATOR_HOST: ready.address,
      PUBSUB_PROJECT_ID: projectId,
      METADATA_SERVER_DETECTION: 'none',
    },
    fault: async (fault) => void (await call('POST', '/fault', fault)),
    clearFault: async () => void (await call('DELETE', '/fault')),
    counters: async () => JSON.parse(await call('GET', '/counters')) as Counters,
    data: (topic) => lines('data', topic),
    messages: async (topic) =>
      (await lines('messages', topic)).map((line) => JSON.parse(line) as StoredMessage),
    clear: async () => void (await call('POST', '/clear')),
    stop: () => engine.stop(),
  };
}
