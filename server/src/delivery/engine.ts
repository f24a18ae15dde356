import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreError } from '../event/store-error.ts';
import type { Delivery } from '../transport/contract.ts';
import { JournalSource, type JournalSourceOptions } from '../transport/journal/source.ts';
import { makePubsubPublisher } from '../transport/open.ts';
import type { PubsubPublisherOptions } from '../transport/pubsub/publisher.ts';
import type {
  DeadLetter,
  ExportSlice,
  InsertResult,
  QueryOptions,
  RollupFault,
  Row,
  Sink,
  Statement,
  Warehouse,
} from '../warehouse/contract.ts';
import { makeWarehouse, type WarehouseOptions } from '../warehouse/open.ts';
import { QueryCache } from '../warehouse/query-cache.ts';
import { Forwarder } from './forwarder.ts';
import { Loader, type LoaderObserver } from './loader.ts';

/** How long to wait before a warehouse that could not be opened is tried again, in milliseconds. */
const REOPEN_MS = 5_000;

export interface EngineOptions {
  readonly warehouse: WarehouseOptions;
  /** The journal that the loader reads; absent where the transport delivers into the warehouse by itself. */
  readonly journal?: JournalSourceOptions;
  /** Where the journal's events go on to, instead of being inserted here (store and forward). */
  readonly forwardTo?: PubsubPublisherOptions;
  readonly eventsMax: number;
  readonly intervalMs: number;
}

/** What the loader and the warehouse did and how they are. Times are unix microseconds; totals since the start. */
export interface EngineStats {
  readonly warehouse: 'open' | 'opening' | 'unavailable';
  /** Why it is not open, or why the last insert failed; for operators. */
  readonly reason?: string;
  readonly oldestWaitingUs?: number;
  readonly newestLoadedUs?: number;
  readonly inserted: number;
  /** Events that went on to another transport. */
  readonly forwarded: number;
  readonly duplicates: number;
  readonly deadLetters: Readonly<Record<DeadLetter['reason'], number>>;
  readonly failures: number;
}

/** Told about each insert: events and milliseconds. */
export type InsertWatch = (events: number, ms: number) => void;

/**
 * The warehouse with its loader, as they run together on one thread. The server puts it on a worker thread
 * (`worker.ts`); offline commands use it in place.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #source: JournalSource | undefined;
  readonly #watch: InsertWatch;
  readonly #stop = new AbortController();
  #cache = new QueryCache();
  #warehouse: Warehouse | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #opened = false;
  #state: EngineStats['warehouse'] = 'opening';
  #reason: string | undefined;
  #newestLoadedUs: number | undefined;
  #inserted = 0;
  #forwarded = 0;
  #duplicates = 0;
  #failures = 0;
  readonly #deadLetters = { rejected: 0, corrupt: 0 };

  constructor(options: EngineOptions, watch: InsertWatch = () => undefined) {
    this.#options = options;
    this.#watch = watch;
    this.#source = options.journal === undefined ? undefined : new JournalSource(options.journal);
  }

  /**
   * Opens the warehouse and starts loading. When it cannot be opened, says why and goes on trying. For a warehouse that is
   * not on this machine it waits no longer than `patienceMs`; its state is `opening` then.
   */
  async start(patienceMs = Infinity): Promise<EngineStats> {
    const warehouse = await makeWarehouse(this.#options.warehouse);
    this.#warehouse = warehouse;
    this.#cache = new QueryCache(warehouse.supports.resultsKeptMs);
    const forwarder = await this.#openForwarder();
    const opened = this.#tryOpen(warehouse);
    this.#running = Promise.all([this.#load(warehouse, opened), forwarder && this.#forward(forwarder)]);
    await (warehouse.supports.insert ? opened : Promise.race([opened, pause(patienceMs)]));
    return this.stats();
  }

  /** Opens the warehouse however long it takes, then loads the journal into it, if that is the loader's to do. */
  async #load(warehouse: Warehouse, opened: Promise<boolean>): Promise<void> {
    const { signal } = this.#stop;
    const stopped = once(signal, 'abort').then(() => false);
    for (
      let ready = await Promise.race([opened, stopped]);
      !ready && !signal.aborted;
      ready = await this.#tryOpen(warehouse)
    ) {
      await sleep(REOPEN_MS, undefined, { signal }).catch(() => undefined);
    }
    if (signal.aborted || this.#options.forwardTo !== undefined) return;
    await this.#runLoader(warehouse, {
      loaded: (delivery, result, deadLetters, ms) => this.#loaded(delivery, result, deadLetters, ms),
      failed: (error) => this.#failed(error),
    });
  }

  async #openForwarder(): Promise<Forwarder | undefined> {
    if (this.#options.forwardTo === undefined || this.#source === undefined) return undefined;
    const forwarder = new Forwarder(await makePubsubPublisher(this.#options.forwardTo));
    await forwarder.open();
    await this.#source.open([]);
    return forwarder;
  }

  /** Sends the journal's events on, whether or not the warehouse can be asked. */
  async #forward(forwarder: Forwarder): Promise<void> {
    await this.#runLoader(forwarder, {
      loaded: (delivery, result, deadLetters, ms) => {
        this.#forwarded += result.inserted;
        this.#reason = undefined;
        this.#count([...deadLetters, ...(result.deadLetters ?? [])]);
        this.#watch(delivery.lines.count, ms);
      },
      failed: (error) => {
        this.#failures += 1;
        this.#reason = error.message;
      },
    });
    await forwarder.close();
  }

  async #runLoader(sink: Sink, observer: LoaderObserver): Promise<void> {
    if (this.#source === undefined) return;
    const { eventsMax, intervalMs } = this.#options;
    const nowUs = () => Date.now() * 1_000;
    const loader = new Loader({ source: this.#source, sink, eventsMax, intervalMs, nowUs, observer });
    await loader.run(this.#stop.signal);
  }

  async #tryOpen(warehouse: Warehouse): Promise<boolean> {
    try {
      await warehouse.open();
      if (warehouse.supports.insert) {
        await this.#source?.open(await warehouse.positions());
        this.#newestLoadedUs = await newestLoadedUs(warehouse);
      }
      this.#cache.clear();
      this.#opened = true;
      this.#state = 'open';
      this.#reason = undefined;
      return true;
    } catch (error) {
      this.#state = 'unavailable';
      this.#reason = error instanceof Error ? error.message : String(error);
      await warehouse.close().catch(() => undefined);
      return false;
    }
  }

  #count(deadLetters: readonly DeadLetter[]): void {
    for (const { reason } of deadLetters) this.#deadLetters[reason] += 1;
  }

  #loaded(delivery: Delivery, result: InsertResult, deadLetters: readonly DeadLetter[], ms: number): void {
    this.#cache.clear();
    this.#inserted += result.inserted;
    this.#duplicates += result.duplicates;
    this.#count(deadLetters);
    const newest = delivery.lines.last();
    if (newest !== undefined) this.#newestLoadedUs = receivedAtUs(newest) ?? this.#newestLoadedUs;
    this.#state = 'open';
    this.#reason = undefined;
    this.#watch(delivery.lines.count, ms);
  }

  #failed(error: StoreError): void {
    this.#cache.clear();
    this.#failures += 1;
    this.#reason = error.message;
    if (error.code !== 'rejected') this.#state = 'unavailable';
  }

  stats(): EngineStats {
    const oldestWaitingUs = this.#state === 'opening' ? undefined : this.#oldestWaitingUs();
    return {
      warehouse: this.#state,
      inserted: this.#inserted,
      forwarded: this.#forwarded,
      duplicates: this.#duplicates,
      deadLetters: { ...this.#deadLetters },
      failures: this.#failures,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(oldestWaitingUs === undefined ? {} : { oldestWaitingUs }),
      ...(this.#newestLoadedUs === undefined ? {} : { newestLoadedUs: this.#newestLoadedUs }),
    };
  }

  #oldestWaitingUs(): number | undefined {
    try {
      return this.#source?.stats().oldestReceivedAtUs;
    } catch {
      return undefined;
    }
  }

  query(statement: Statement, options: QueryOptions): Promise<readonly Row[]> {
    return this.#cache.get(statement, () => this.#ask(this.#use(), statement, options));
  }

  /** Where nothing is inserted, only its answers tell how a warehouse is. */
  async #ask(warehouse: Warehouse, statement: Statement, options: QueryOptions): Promise<readonly Row[]> {
    if (warehouse.supports.insert) return warehouse.query(statement, options);
    try {
      const rows = await warehouse.query(statement, options);
      this.#state = 'open';
      this.#reason = undefined;
      return rows;
    } catch (error) {
      if (error instanceof StoreError && ['unavailable', 'timeout'].includes(error.code)) {
        this.#state = 'unavailable';
      }
      this.#reason = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  verify(): Promise<readonly RollupFault[]> {
    return this.#use().verify();
  }

  exportTo(slice: ExportSlice): Promise<void> {
    return this.#use().exportTo(slice);
  }

  async backup(directory: string): Promise<void> {
    const copyWarehouse = () => this.#use().backup(directory);
    await (this.#source === undefined ? copyWarehouse() : this.#source.backup(directory, copyWarehouse));
  }

  /** Resolves once everything that was in the journal when it was called is in the warehouse, or at the deadline. */
  async drain(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    const end = this.#source?.written ?? 0;
    while ((this.#source?.acked ?? end) < end) {
      if (performance.now() > deadline) return false;
      await sleep(20);
    }
    return true;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#source?.close();
    await this.#warehouse?.close();
  }

  #use(): Warehouse {
    if (this.#warehouse === undefined) throw new StoreError('closed', 'the warehouse was not started');
    if (!this.#opened) {
      throw new StoreError('unavailable', this.#reason ?? 'the warehouse is not open');
    }
    return this.#warehouse;
  }
}

async function newestLoadedUs(warehouse: Warehouse): Promise<number | undefined> {
  const us = warehouse.dialect.unixMicroseconds('max(received_at)');
  const [row] = await warehouse.query(
    { sql: `SELECT ${us} AS newest FROM ${warehouse.dialect.table('events')}`, params: {} },
    { timeoutMs: 10_000 },
  );
  return typeof row?.['newest'] === 'number' ? row['newest'] : undefined;
}

function receivedAtUs(line: string): number | undefined {
  const value = /"received_at":(\d+)/.exec(line)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** Resolves after a time, which may be without end; keeps no process alive. */
function pause(ms: number): Promise<unknown> {
  return Number.isFinite(ms) ? sleep(ms, undefined, { ref: false }) : new Promise(() => undefined);
}
