import type { EventLine } from '../../event/line.ts';
import { StoreError } from '../../event/store-error.ts';
import type { Publisher, PublisherLimits, PublisherStats } from '../contract.ts';
import {
  ackedEnd,
  decodeRecord,
  encodeRecord,
  journalError,
  openJournalStore,
  recordBytes,
  reserve,
  type JournalStore,
} from './store.ts';

export interface LmdbPublisherOptions {
  readonly directory: string;
  readonly limits: PublisherLimits;
  /** Free bytes that must stay on the disk for the warehouse and for clean-up; below it the journal is full. */
  readonly freeBytes: () => number;
  readonly freeBytesMin: number;
}

/** How many bytes may be written before the disk's and the journal's fill are looked up again. */
const FILL_CHECK_BYTES = 1_024 * 1_024;

/** Room kept in the file for the pages that a commit copies and for the loader's deletes. */
const RESERVE_BYTES = 4 * 1_024 * 1_024;

/** How much longer the file is made at a time. */
const RESERVE_CHUNK_BYTES = 8 * 1_024 * 1_024;

/** Writes accepted events into the journal; see `store.ts` for the format and `Publisher` for the promises. */
export class LmdbPublisher implements Publisher {
  readonly name = 'journal';
  readonly limits: PublisherLimits;
  readonly #options: LmdbPublisherOptions;
  #store: JournalStore | undefined;
  #nextKey = 0;
  #waiting = 0;
  #waitingBytes = 0;
  #bytesUntilCheck = 0;
  #full: string | undefined;
  #idle: (() => void) | undefined;

  constructor(options: LmdbPublisherOptions) {
    this.#options = options;
    this.limits = options.limits;
  }

  open(): Promise<void> {
    const store = openJournalStore(this.#options.directory, this.limits.bytesMax);
    this.#store = store;
    this.#nextKey = nextKey(store);
    this.#checkFill(store, 0);
    return Promise.resolve();
  }

  publish(lines: readonly EventLine[]): Promise<void> {
    const store = this.#store;
    if (store === undefined) return Promise.reject(new StoreError('closed', 'journal: closed'));
    if (this.#waiting >= this.limits.waitingMax) {
      return Promise.reject(
        new StoreError('unavailable', `journal: ${this.#waiting} requests are waiting already`),
      );
    }
    const record = encodeRecord(lines);
    this.#checkFill(store, record.length);
    if (this.#full !== undefined) return Promise.reject(new StoreError('unavailable', this.#full));
    const key = this.#nextKey;
    this.#nextKey += lines.length;
    return this.#commit(store, key, record);
  }

  async #commit(store: JournalStore, key: number, record: Buffer): Promise<void> {
    this.#waiting += 1;
    this.#waitingBytes += record.length;
    try {
      if (!(await store.records.put(key, record))) throw new Error('the put was not applied');
    } catch (error) {
      this.#bytesUntilCheck = 0;
      throw await commitError(error);
    } finally {
      this.#waiting -= 1;
      this.#waitingBytes -= record.length;
      if (this.#waiting === 0) this.#idle?.();
    }
  }

  /** Looks at the fill of journal and disk once in every so many bytes, and at every publish while full. */
  #checkFill(store: JournalStore, bytes: number): void {
    this.#bytesUntilCheck -= bytes;
    if (this.#bytesUntilCheck > 0) return;
    const stored = recordBytes(store);
    const free = this.#options.freeBytes();
    this.#full = undefined;
    this.#bytesUntilCheck = FILL_CHECK_BYTES;
    if (stored + bytes > this.limits.bytesMax) {
      this.#full = `journal: full, ${stored} of ${this.limits.bytesMax} bytes`;
    } else if (free - bytes < this.#options.freeBytesMin) {
      this.#full = `journal: the disk is full, ${free} bytes free`;
    } else if (!reserve(store, this.#roomFor(bytes), RESERVE_CHUNK_BYTES)) {
      this.#full = `journal: the disk is full, the file cannot be made longer`;
    }
    if (this.#full !== undefined) this.#bytesUntilCheck = 0;
  }

  /** Bytes that may be written until the next look; a value may take up to twice its size in pages. */
  #roomFor(bytes: number): number {
    return 2 * (this.#waitingBytes + bytes + FILL_CHECK_BYTES) + RESERVE_BYTES;
  }

  stats(): PublisherStats {
    const store = this.#store;
    if (store === undefined) return { events: 0, bytes: 0, waiting: 0 };
    const bytes = recordBytes(store);
    return { events: Math.max(0, this.#nextKey - ackedEnd(store)), bytes, waiting: this.#waiting };
  }

  async close(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    this.#store = undefined;
    if (this.#waiting > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await store.root.close();
  }
}

/** What made a commit fail: LMDB's client rejects each put with an error that carries a promise of the cause. */
async function commitError(error: unknown): Promise<StoreError> {
  const cause = (error as { commitError?: Promise<unknown> }).commitError;
  if (cause === undefined) return journalError(error);
  return journalError(await cause.catch((reason: unknown) => reason));
}

/** The key after the last record, or where the last acknowledged one ended when the journal is empty. */
function nextKey(store: JournalStore): number {
  for (const { key, value } of store.records.getRange({ reverse: true, limit: 1 })) {
    // An unreadable record has at most one event for every two bytes; the gap only has to be wide enough.
    return key + (decodeRecord(value)?.length ?? value.length);
  }
  return ackedEnd(store);
}
