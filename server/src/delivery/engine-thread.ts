import { Worker } from 'node:worker_threads';
import { provideEnvironment } from '../config.ts';
import { StoreError } from '../event/store-error.ts';
import type { ExportSlice, QueryOptions, Statement } from '../warehouse/contract.ts';
import { environmentOf } from '../warehouse/open.ts';
import type { Answer } from '../warehouse/query-cache.ts';
import type { AskOptions, Engine, EngineOptions, EngineStats, InsertWatch } from './engine.ts';
import type { CallMessage, CancelMessage, EngineCall, WorkerMessage } from './worker.ts';

/** Calls that may be under way at the same time; beyond, they fail with `busy`. */
const CALLS_MAX = 1_024;

/** Of these, how many may be queries that read rows, and how many of them by one asker: room is left for all others. */
const ROWS_CALLS_MAX = 128;
const ROWS_CALLS_OF_ONE_MAX = 64;

interface Waiting {
  /** Who asks a query that reads rows. */
  readonly rowsAsker?: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

/** How long a thread that died stays down before the next one, in milliseconds. */
const RESTART_MS = 1_000;

export interface EngineThreadOptions {
  readonly engine: EngineOptions;
  readonly watch: InsertWatch;
  /** Told when the thread died of an error; a new one is started after a second. */
  readonly onDeath: (error: Error) => void;
  /** Told at a start what the warehouse must do without. */
  readonly onWarning: (text: string) => void;
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly rowsAsker?: string | undefined;
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

  readonly #start = this.#method('start');
  readonly stats = this.#method('stats');
  readonly verify = this.#method('verify');
  readonly backup = this.#method('backup');
  readonly drain = this.#method('drain');
  readonly #stop = this.#method('stop');

  /** Lets the batch in hand finish, closes the stores, ends the thread. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#worker !== undefined) await this.#stop();
  }

  async start(patienceMs?: number): Promise<EngineStats> {
    provideEnvironment(await environmentOf(this.#options.engine.warehouse, this.#options.onWarning));
    return this.#start(patienceMs);
  }

  async query(statement: Statement, { signal, ...options }: AskOptions): Promise<Answer> {
    const rowsAsker = statement.weight === 'rollup' ? undefined : (options.asker ?? '');
    if (rowsAsker !== undefined) this.#checkRowsCalls(rowsAsker);
    return this.#call('query', [statement, options], { signal, rowsAsker }) as Promise<Answer>;
  }

  async exportTo(slice: ExportSlice, { signal }: Pick<QueryOptions, 'signal'> = {}): Promise<void> {
    await this.#call('exportTo', [slice, {}], { signal });
  }

  #method<C extends EngineCall>(call: C) {
    return (...args: Parameters<Engine[C]>) =>
      this.#call(call, args) as Promise<Awaited<ReturnType<Engine[C]>>>;
  }

  /** Sends a call, and after it that it is cancelled when the signal fires; the thread answers then, too. */
  #call(
    call: EngineCall,
    args: readonly unknown[],
    { signal, rowsAsker }: CallOptions = {},
  ): Promise<unknown> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.reject(new StoreError('closed', 'the warehouse thread ended'));
    if (this.#waiting.size >= CALLS_MAX) return Promise.reject(tooMany(CALLS_MAX, 'calls'));
    if (signal?.aborted === true)
      return Promise.reject(new StoreError('timeout', 'nobody waits for the call'));
    const id = this.#nextId;
    this.#nextId += 1;
    const cancel = () => worker.postMessage({ cancel: id } satisfies CancelMessage);
    signal?.addEventListener('abort', cancel, { once: true });
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, ...(rowsAsker === undefined ? {} : { rowsAsker }) });
      worker.postMessage({ id, call, args } satisfies CallMessage);
    }).finally(() => signal?.removeEventListener('abort', cancel));
  }

  /** @throws StoreError `busy` */
  #checkRowsCalls(asker: string): void {
    let all = 0;
    let ofOne = 0;
    for (const { rowsAsker } of this.#waiting.values()) {
      if (rowsAsker === undefined) continue;
      all += 1;
      if (rowsAsker === asker) ofOne += 1;
    }
    if (all >= ROWS_CALLS_MAX || ofOne >= ROWS_CALLS_OF_ONE_MAX) throw tooMany(all, 'queries that read rows');
  }

  #settle(message: Exclude<WorkerMessage, { insert: unknown }>): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('value' in message) waiting?.resolve(message.value);
    else waiting?.reject(new StoreError(message.failure.code, message.failure.message));
  }
}

function tooMany(count: number, what: string): StoreError {
  return new StoreError('busy', `${count} ${what} wait for the warehouse already`);
}
