import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { countLines, EventLines, firstLine } from '../../event/lines.ts';
import type { Position } from '../../event/position.ts';
import type { Damage, Delivery, ReceiveOptions, Source, SourceStats } from '../contract.ts';
import {
  ackedEnd,
  decodeRecord,
  JOURNAL_FILE,
  journalError,
  openJournalStore,
  type JournalStore,
} from './store.ts';

export interface LmdbSourceOptions {
  readonly directory: string;
  readonly bytesMax: number;
}

/** How often an empty journal is looked at again, in milliseconds. */
const POLL_MS = 50;

/** Reads the journal in order, from its own thread if need be; see `Source` for the promises. */
export class LmdbSource implements Source {
  readonly name = 'journal';
  readonly #options: LmdbSourceOptions;
  #store: JournalStore | undefined;
  /** Everything below is acknowledged or in the warehouse. */
  #next = 0;

  constructor(options: LmdbSourceOptions) {
    this.#options = options;
  }

  open(stored: readonly Position[]): Promise<void> {
    const store = openJournalStore(this.#options.directory, this.#options.bytesMax);
    const held = stored.find((position) => position.source === store.id)?.end ?? 0;
    this.#store = store;
    this.#next = Math.max(ackedEnd(store), held);
    return Promise.resolve();
  }

  async receive(options: ReceiveOptions): Promise<Delivery | undefined> {
    const deadline = performance.now() + options.waitMs;
    while (!options.signal.aborted) {
      const delivery = this.#read(options);
      if (delivery !== undefined) return delivery;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return undefined;
      await sleep(Math.min(POLL_MS, leftMs), undefined, { signal: options.signal }).catch(() => undefined);
    }
    return undefined;
  }

  #read(options: ReceiveOptions): Delivery | undefined {
    const store = this.#opened();
    const chunks: Buffer[] = [];
    let count = 0;
    const damaged: Damage[] = [];
    let bytes = 0;
    let end = this.#next;
    try {
      store.records.resetReadTxn();
      for (const { key, value } of store.records.getRange({ start: this.#next })) {
        const chunk = decodeRecord(value);
        const lines = chunk === undefined ? 0 : countLines(chunk);
        if (chunk === undefined) {
          damaged.push({
            reason: `journal record ${key}: checksum does not match`,
            body: value.toString('utf8'),
          });
        } else {
          chunks.push(chunk);
          count += lines;
        }
        bytes += value.length;
        end = key + Math.max(lines, 1);
        if (count >= options.eventsMax || bytes >= options.bytesMax) break;
      }
    } catch (error) {
      throw journalError(error);
    }
    if (end === this.#next) return undefined;
    const from = this.#next;
    this.#next = end;
    return {
      lines: new EventLines(chunks, count),
      damaged,
      position: { source: store.id, end },
      ack: () => this.#ack(store, end),
      nack: () => {
        this.#next = Math.min(this.#next, from);
      },
    };
  }

  /** Deletes what is stored elsewhere, and notes how far, in one transaction. */
  #ack(store: JournalStore, end: number): Promise<void> {
    try {
      store.root.transactionSync(() => {
        for (const key of store.records.getKeys({ end })) store.records.removeSync(key);
        store.meta.putSync('acked', end);
      });
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(journalError(error));
    }
  }

  stats(): SourceStats {
    const store = this.#opened();
    store.records.resetReadTxn();
    // What is acknowledged is deleted, so the first that is there is the oldest that waits.
    for (const { value } of store.records.getRange({ limit: 1 })) {
      const chunk = decodeRecord(value);
      if (chunk === undefined) return {};
      const { received_at: receivedAtUs } = JSON.parse(firstLine(chunk)) as { received_at: number };
      return { oldestReceivedAtUs: receivedAtUs };
    }
    return {};
  }

  /** Whether a record is not acknowledged yet; false also when the journal is not open. */
  pending(): boolean {
    const store = this.#store;
    if (store === undefined) return false;
    store.records.resetReadTxn();
    return store.records.getKeysCount({ limit: 1 }) > 0;
  }

  /** Writes a consistent copy of the journal into the directory, while it is in use. */
  async backup(directory: string): Promise<void> {
    const path = join(directory, JOURNAL_FILE);
    try {
      await mkdir(directory, { recursive: true });
      await rm(path, { force: true });
      await this.#opened().root.backup(path, true);
    } catch (error) {
      throw journalError(error);
    }
  }

  async close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    await store?.root.close();
  }

  #opened(): JournalStore {
    if (this.#store === undefined) throw journalError(new Error('closed'));
    return this.#store;
  }
}
