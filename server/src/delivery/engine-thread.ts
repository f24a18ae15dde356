import { Worker } from 'node:worker_threads';
import { StoreError } from '../event/store-error.ts';
import type { Engine, EngineOptions, InsertWatch } from './engine.ts';
import type { CallMessage, EngineCall, WorkerMessage } from './worker.ts';

/** Calls that may be under way at the same time; beyond, they fail with `unavailable`. */
const CALLS_MAX = 256;

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: StoreError) => void;
}

/**
 * The engine on a worker thread, off the HTTP thread: the same methods, sent as messages. When the thread dies,
 * every call under way and every later one fails with `closed`, and `onExit` is told.
 */
export class EngineThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #exited = false;

  constructor(options: EngineOptions, watch: InsertWatch, onExit: (error: Error) => void) {
    // From the sources this file and the worker end in .ts, from the build in .js.
    this.#worker = new Worker(new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url), {
      workerData: options,
    });
    let failure = new Error('the warehouse thread ended');
    this.#worker.on('message', (message: WorkerMessage) => {
      if ('insert' in message) watch(message.insert.events, message.insert.ms);
      else this.#settle(message);
    });
    this.#worker.on('error', (error) => (failure = error as Error));
    this.#worker.on('exit', (code) => {
      this.#exited = true;
      for (const { reject } of this.#waiting.values()) reject(new StoreError('closed', failure.message));
      this.#waiting.clear();
      if (code !== 0) onExit(failure);
    });
  }

  readonly start = this.#method('start');
  readonly stats = this.#method('stats');
  readonly query = this.#method('query');
  readonly verify = this.#method('verify');
  readonly exportTo = this.#method('exportTo');
  readonly backup = this.#method('backup');
  readonly drain = this.#method('drain');
  readonly stop = this.#method('stop');

  #method<C extends EngineCall>(call: C) {
    type Result = Awaited<ReturnType<Engine[C]>>;
    return (...args: Parameters<Engine[C]>): Promise<Result> =>
      new Promise<Result>((resolve, reject) => {
        if (this.#exited) return reject(new StoreError('closed', 'the warehouse thread ended'));
        if (this.#waiting.size >= CALLS_MAX) {
          return reject(
            new StoreError('unavailable', `${CALLS_MAX} calls are waiting for the warehouse already`),
          );
        }
        const id = this.#nextId;
        this.#nextId += 1;
        this.#waiting.set(id, { resolve, reject });
        this.#worker.postMessage({ id, call, args } satisfies CallMessage);
      });
  }

  #settle(message: Exclude<WorkerMessage, { insert: unknown }>): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('value' in message) waiting?.resolve(message.value as never);
    else waiting?.reject(new StoreError(message.failure.code, message.failure.message));
  }
}
