import { readdirSync, readlinkSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { StoreError, type StoreErrorCode } from '../event/store-error.ts';
import { Engine, type EngineOptions } from './engine.ts';

/** The engine's methods that can be called from another thread. */
export type EngineCall = 'start' | 'stats' | 'query' | 'verify' | 'exportTo' | 'backup' | 'drain' | 'stop';

/** To the worker: call a method. */
export interface CallMessage {
  readonly id: number;
  readonly call: EngineCall;
  readonly args: readonly unknown[];
}

/** To the worker: nobody waits for a call any more. */
export interface CancelMessage {
  readonly cancel: number;
}

/** Calls whose last argument is options with a signal, which each thread has one of its own for. */
const CANCELLABLE: readonly EngineCall[] = ['query', 'exportTo'];

/** From the worker: how a call ended, or that a batch was inserted. */
export type WorkerMessage =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: { readonly code: StoreErrorCode; readonly message: string } }
  | { readonly insert: { readonly events: number; readonly ms: number } };

/** Nice value of the warehouse thread and of DuckDB's own threads. */
const WAREHOUSE_NICE = 10;

/** Where Linux lists the threads of this process; by name, each is a directory. */
const THREADS = '/proc/self/task';

if (parentPort !== null) {
  yieldToHttp([basename(readThreadLink())]);
  serve(parentPort, await startedBefore());
}

/** The link to this thread, or nothing where there is no /proc. */
function readThreadLink(): string {
  try {
    return readlinkSync('/proc/thread-self');
  } catch {
    return '';
  }
}

/** The threads of the process before DuckDB is opened, once the pool has all of its own. */
async function startedBefore(): Promise<ReadonlySet<string>> {
  await stat('.');
  return new Set(threads());
}

function threads(): string[] {
  try {
    return readdirSync(THREADS);
  } catch {
    return [];
  }
}

/**
 * Lets the HTTP thread go before these threads while they want the processor: accepting must not wait for loading, which
 * has the journal to lean on. Linux schedules threads one by one; elsewhere nothing is done. DuckDB's statements
 * also run on Node's thread pool, whose threads stay equal because they commit the journal too.
 */
function yieldToHttp(ids: readonly string[]): void {
  try {
    for (const id of ids) if (id !== '') setPriority(Number(id), WAREHOUSE_NICE);
  } catch {
    // Not allowed, or the thread has ended: then all are equal.
  }
}

function serve(port: NonNullable<typeof parentPort>, before: ReadonlySet<string>): void {
  const send = (message: WorkerMessage) => port.postMessage(message);
  let inserts = 0;
  const engine = new Engine(workerData as EngineOptions, (events, ms) => {
    send({ insert: { events, ms } });
    // By the first insert DuckDB has started its threads, however often it had to be opened.
    if ((inserts += 1) === 1) yieldToHttp(threads().filter((id) => !before.has(id)));
  });
  const stops = new Map<number, AbortController>();
  port.on('message', async (message: CallMessage | CancelMessage) => {
    if ('cancel' in message) {
      stops.get(message.cancel)?.abort();
      return;
    }
    const { id, call } = message;
    try {
      const method = engine[call] as (...values: readonly unknown[]) => unknown;
      send({ id, value: await method.apply(engine, [...argumentsOf(message, stops)]) });
    } catch (error) {
      const code = error instanceof StoreError ? error.code : 'unavailable';
      send({ id, failure: { code, message: error instanceof Error ? error.message : String(error) } });
    }
    stops.delete(id);
    if (call === 'stop') port.close();
  });
}

/** The arguments of a call, with a signal in place of the caller's where it can be cancelled. */
function argumentsOf(
  { id, call, args }: CallMessage,
  stops: Map<number, AbortController>,
): readonly unknown[] {
  if (!CANCELLABLE.includes(call)) return args;
  const stop = new AbortController();
  stops.set(id, stop);
  return [...args.slice(0, -1), { ...(args.at(-1) as object), signal: stop.signal }];
}
