import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { provideEnvironment } from '../config.ts';
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
import type { TableToWatch } from '../warehouse/bigquery/table-fields.ts';
import { environmentOf, makeTableFields, makeWarehouse, type WarehouseOptions } from '../warehouse/open.ts';
import { QueryCache, type Answer } from '../warehouse/query-cache.ts';
import { QueryTurns } from '../warehouse/query-turns.ts';
import { Forwarder } from './forwarder.ts';
import { Loader, type LoaderObserver } from './loader.ts';

/** How long to wait before a warehouse that could not be opened is tried again, in milliseconds. */
const REOPEN_MS = 5_000;

/** How long a backup waits for the statements that read rows, in milliseconds. */
const BACKUP_WAIT_MS = 300_000;

export interface EngineOptions {
  readonly warehouse: WarehouseOptions;
  /** The journal that the loader reads; absent where the transport delivers into the warehouse by itself. */
  readonly journal?: JournalSourceOptions;
  /** Where the journal's events go on to, instead of being inserted here (store and forward). */
  readonly forwardTo?: Omit<PubsubPublisherOptions, 'fields'>;
  /** The table that they end up in: fields that it has no column for are left out. Default: every field is sent. */
  readonly forwardTable?: TableToWatch;
  readonly eventsMax: number;
  readonly intervalMs: number;
}

/** What the loader and the warehouse did and how they are. Times are unix microseconds; totals since the start. */
export interface EngineStats {
  readonly warehouse: 'open' | 'opening' | 'unavailable';
  /** Why it is not open, or why the last insert failed; for operators. */
  readonly reason?: string;
  /** When the oldest event that waits in the journal was received; absent where that is not known. */
  readonly oldestWaitingUs?: number | 'none';
  /** Every event acknowledged before this moment is in the warehouse: now, when none waits. Absent where that is not known. */
  readonly asOfUs?: number;
  readonly inserted: number;
  /** Events that went on to another transport. */
  readonly forwarded: number;
  readonly duplicates: number;
  readonly deadLetters: Readonly<Record<DeadLetter['reason'], number>>;
  readonly failures: number;
}

/** Asks the warehouse; `billed` is told the bytes, where they are billed. */
type Ask = (warehouse: Warehouse, billed?: QueryOptions['billed']) => Promise<readonly Row[]>;

/** How a question is asked. */
export interface AskOptions extends QueryOptions {
  /** Who asks, by any name: statements that read rows take turns by it. Default: one for all who give none. */
  readonly asker?: string;
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
  readonly #turns = new QueryTurns();
  #warehouse: Warehouse | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #opened = false;
  #state: EngineStats['warehouse'] = 'opening';
  #reason: string | undefined;
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
    if (isMainThread) {
      const warn = (text: string) => process.emitWarning(text);
      provideEnvironment(await environmentOf(this.#options.warehouse, warn));
    }
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
    const { forwardTo, forwardTable } = this.#options;
    if (forwardTo === undefined || this.#source === undefined) return undefined;
    const fields = forwardTable === undefined ? {} : { fields: await makeTableFields(forwardTable) };
    const forwarder = new Forwarder(await makePubsubPublisher({ ...forwardTo, ...fields }));
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
    const oldestWaitingUs = this.#oldestWaitingUs();
    const asOfUs = this.#asOfUs();
    return {
      warehouse: this.#state,
      inserted: this.#inserted,
      forwarded: this.#forwarded,
      duplicates: this.#duplicates,
      deadLetters: { ...this.#deadLetters },
      failures: this.#failures,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(oldestWaitingUs === undefined ? {} : { oldestWaitingUs }),
      ...(asOfUs === undefined ? {} : { asOfUs }),
    };
  }

  /** `none` waits; undefined: not known, because the journal is not open or cannot be read. */
  #oldestWaitingUs(): number | 'none' | undefined {
    try {
      return this.#source?.stats().oldestReceivedAtUs ?? 'none';
    } catch {
      return undefined;
    }
  }

  /**
   * An event is acknowledged after it is received, and loaded in the order of the journal: all that were acknowledged before
   * the oldest waiting one was received are in the warehouse.
   */
  #asOfUs(): number | undefined {
    if (this.#source === undefined || this.#warehouse?.supports.insert !== true || !this.#opened)
      return undefined;
    const nowUs = Date.now() * 1_000;
    const oldest = this.#oldestWaitingUs();
    return oldest === 'none' ? nowUs : oldest && Math.min(oldest, nowUs);
  }

  /**
   * Answers from what is kept, or when the statement has its turn. Ends with `timeout` when the asker's signal fires; the
   * statement is stopped when nobody else waits for it, or at the deadline, its wait included.
   */
  async query(statement: Statement, options: AskOptions): Promise<Answer> {
    const { timeoutMs, signal, asker = '' } = options;
    let ran = false;
    const run = (gone: AbortSignal) => {
      ran = true;
      const ends = AbortSignal.any([gone, AbortSignal.timeout(timeoutMs)]);
      const turn = { weight: statement.weight ?? 'rows', asker, signal: ends };
      const ask: Ask = (warehouse, billed) =>
        warehouse.query(statement, { timeoutMs, signal: ends, ...(billed === undefined ? {} : { billed }) });
      return this.#turns.run(turn, () => this.#answer(ask, gone));
    };
    const reachesUs = this.#asOfUs();
    const found = await this.#cache.get(statement, run, { signal, timeoutMs });
    const answer = ran || found.bytesBilled === undefined ? found : { ...found, bytesBilled: 0 };
    // A kept answer reaches as far as the warehouse did when it was asked for: the next insert would have dropped it.
    const asOfUs = Math.max(answer.asOfUs ?? Number.NaN, reachesUs ?? Number.NaN);
    return Number.isNaN(asOfUs) ? answer : { ...answer, asOfUs };
  }

  /** How far the rows go is looked up before they are read, so that they hold at least that. */
  async #answer(ask: Ask, gone: AbortSignal): Promise<Answer> {
    const warehouse = this.#use();
    if (!warehouse.supports.insert) return this.#watchAnswer(ask, gone);
    const asOfUs = this.#asOfUs();
    const rows = await ask(warehouse);
    return asOfUs === undefined ? { rows } : { rows, asOfUs };
  }

  /** Where nothing is inserted, only its answers tell how a warehouse is; one that nobody waited for tells nothing. */
  async #watchAnswer(ask: Ask, gone: AbortSignal): Promise<Answer> {
    const nowUs = Date.now() * 1_000;
    let bytesBilled: number | undefined;
    try {
      const rows = await ask(this.#use(), (bytes) => (bytesBilled = bytes));
      this.#state = 'open';
      this.#reason = undefined;
      const said = rows[0]?.['as_of_us'];
      const asOfUs = typeof said === 'number' ? said : nowUs;
      return { rows, asOfUs, ...(bytesBilled === undefined ? {} : { bytesBilled }) };
    } catch (error) {
      if (gone.aborted) throw error;
      if (error instanceof StoreError && ['unavailable', 'timeout'].includes(error.code)) {
        this.#state = 'unavailable';
      }
      this.#reason = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  /** Takes a turn among the statements that read rows, as an export does. */
  verify(): Promise<readonly RollupFault[]> {
    const turn = { weight: 'rows', asker: 'verify', signal: this.#stop.signal } as const;
    return this.#turns.run(turn, () => this.#use().verify());
  }

  exportTo(slice: ExportSlice, options: Pick<QueryOptions, 'signal'> = {}): Promise<void> {
    const { signal = this.#stop.signal } = options;
    const turn = { weight: 'rows', asker: 'export', signal } as const;
    return this.#turns.run(turn, () => this.#use().exportTo(slice, { signal }));
  }

  /** Waits for the statements that read rows, and keeps others off: they would be in its way for as long as they run. */
  backup(directory: string): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(BACKUP_WAIT_MS)]);
    const copyWarehouse = () => this.#use().backup(directory);
    return this.#turns.runAlone({ weight: 'rows', asker: 'backup', signal }, () =>
      this.#source === undefined ? copyWarehouse() : this.#source.backup(directory, copyWarehouse),
    );
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

/** Resolves after a time, which may be without end; keeps no process alive. */
function pause(ms: number): Promise<unknown> {
  return Number.isFinite(ms) ? sleep(ms, undefined, { ref: false }) : new Promise(() => undefined);
}
