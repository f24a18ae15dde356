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

/** How long a thread that died stays down before the next one, in milliseconds. */
const RESTART_MS = 1_000;

export interface EngineThreadOptions {
  readonly engine: EngineOptions;
  readonly watch: InsertWatch;
  /** Told when the thread died of an error; a new one is started after a second. */
  readonly onDeath: (error: Error) => void;
}

/**
 * The engine on a worker thread, off the HTTP thread: the same methods, sent as messages. When the thread dies,
 * every call under way fails with `closed`, later ones too until a new thread is up.
 */
export class EngineThread {
  readonly #options: EngineThreadOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #nextId = 1;
  #stopping = false;

  constructor(options: EngineThreadOptions) {
    this.#options = options;
    this.#spawn();
  }

  #spawn(): void {
    // From the sources this file and the worker end in .ts, from the build in .js.
    const worker = new Worker(new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url), {
      workerData: this.#options.engine,
    });
    let failure = new Error('the warehouse thread ended');
    worker.on('message', (message: WorkerMessage) => {
      if ('insert' in message) this.#options.watch(message.insert.events, message.insert.ms);
      else this.#settle(message);
    });
    worker.on('error', (error) => (failure = error as Error));
    worker.on('exit', () => this.#exited(failure));
    this.#worker = worker;
  }

  #exited(failure: Error): void {
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(new StoreError('closed', failure.message));
    this.#waiting.clear();
    if (this.#stopping) return;
    this.#options.onDeath(failure);
    setTimeout(() => {
      if (this.#stopping) return;
      this.#spawn();
      this.start().catch(() => undefined);
    }, RESTART_MS).unref();
  }

  readonly start = this.#method('start');
  readonly stats = this.#method('stats');
  readonly query = this.#method('query');
  readonly verify = this.#method('verify');
  readonly exportTo = this.#method('exportTo');
  readonly backup = this.#method('backup');
  readonly drain = this.#method('drain');
  readonly #stop = this.#method('stop');

  /** Lets the batch in hand finish, closes the stores, ends the thread. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#worker !== undefined) await this.#stop();
  }

  #method<C extends EngineCall>(call: C) {
    type Result = Awaited<ReturnType<Engine[C]>>;
    return (...args: Parameters<Engine[C]>): Promise<Result> =>
      new Promise<Result>((resolve, reject) => {
        const worker = this.#worker;
        if (worker === undefined) return reject(new StoreError('closed', 'the warehouse thread ended'));
        if (this.#waiting.size >= CALLS_MAX) {
          return reject(
            new StoreError('unavailable', `${CALLS_MAX} calls are waiting for the warehouse already`),
          );
        }
        const id = this.#nextId;
        this.#nextId += 1;
        this.#waiting.set(id, { resolve, reject });
        worker.postMessage({ id, call, args } satisfies CallMessage);
      });
  }

  #settle(message: Exclude<WorkerMessage, { insert: unknown }>): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('value' in message) waiting?.resolve(message.value as never);
    else waiting?.reject(new StoreError(message.failure.code, message.failure.message));
  }
}
