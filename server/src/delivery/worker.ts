import { readlinkSync } from 'node:fs';
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

/** From the worker: how a call ended, or that a batch was inserted. */
export type WorkerMessage =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: { readonly code: StoreErrorCode; readonly message: string } }
  | { readonly insert: { readonly events: number; readonly ms: number } };

/** Nice value of the warehouse thread and of the threads that DuckDB starts from it. */
const WAREHOUSE_NICE = 10;

if (parentPort !== null) {
  yieldToHttp();
  serve(parentPort);
}

/**
 * Lets the HTTP thread go first while both want the processor: accepting must not wait for loading, which has the
 * journal to lean on. Linux schedules threads one by one and lets new ones inherit; elsewhere nothing is done.
 */
function yieldToHttp(): void {
  try {
    const thread = Number(basename(readlinkSync('/proc/thread-self')));
    setPriority(thread, WAREHOUSE_NICE);
  } catch {
    // No /proc, or not allowed: then all threads are equal.
  }
}

function serve(port: NonNullable<typeof parentPort>): void {
  const send = (message: WorkerMessage) => port.postMessage(message);
  const engine = new Engine(workerData as EngineOptions, (events, ms) => send({ insert: { events, ms } }));
  port.on('message', async ({ id, call, args }: CallMessage) => {
    try {
      const method = engine[call] as (...values: readonly unknown[]) => unknown;
      send({ id, value: await method.apply(engine, [...args]) });
    } catch (error) {
      const code = error instanceof StoreError ? error.code : 'unavailable';
      send({ id, failure: { code, message: error instanceof Error ? error.message : String(error) } });
    }
    if (call === 'stop') port.close();
  });
}
