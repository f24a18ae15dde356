import { countLines, type EventLines } from '../../event/lines.ts';
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

/** A record takes no further batch at this size. */
const RECORD_BYTES_MAX = 256 * 1_024;

/** A batch that waits for its commit. */
interface Waiting {
  readonly lines: EventLines;
  /** Of the lines, each with what joins it to the next. */
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/**
 * Writes accepted events into the journal; see `store.ts` for the format and `Publisher` for the promises.
 *
 * Group commit: one commit is under way at a time. Batches that arrive meanwhile wait and share the next one,
 * and its records, so that a put and two syncs are paid for by all of them.
 */
export class LmdbPublisher implements Publisher {
  readonly name = 'journal';
  readonly limits: PublisherLimits;
  readonly #options: LmdbPublisherOptions;
  #store: JournalStore | undefined;
  #nextKey = 0;
  #queue: Waiting[] = [];
  #committing = false;
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

  publish(lines: EventLines): Promise<void> {
    const store = this.#store;
    if (store === undefined) return Promise.reject(new StoreError('closed', 'journal: closed'));
    if (this.#waiting >= this.limits.waitingMax) {
      return Promise.reject(
        new StoreError('unavailable', `journal: ${this.#waiting} requests are waiting already`),
      );
    }
    const bytes = lines.chunks.reduce((sum, chunk) => sum + chunk.length + 1, 0);
    this.#checkFill(store, bytes);
    if (this.#full !== undefined) return Promise.reject(new StoreError('unavailable', this.#full));
    return new Promise((resolve, reject) => {
      this.#queue.push({ lines, bytes, resolve, reject });
      this.#waiting += 1;
      this.#waitingBytes += bytes;
      if (this.#committing) return;
      this.#committing = true;
      // After the requests that the event loop has at hand.
      setImmediate(() => void this.#commitQueue(store));
    });
  }

  async #commitQueue(store: JournalStore): Promise<void> {
    while (this.#queue.length > 0) {
      const records = intoRecords(this.#queue);
      this.#queue = [];
      await Promise.all(records.map((record) => this.#commit(store, record)));
    }
    this.#committing = false;
    this.#idle?.();
  }

  /** Writes the batches as one record, and settles them once it is durable or has failed. */
  async #commit(store: JournalStore, batches: readonly Waiting[]): Promise<void> {
    const key = this.#nextKey;
    for (const { lines } of batches) this.#nextKey += lines.count;
    let failure: StoreError | undefined;
    try {
      if (!(await store.records.put(key, encodeRecord(batches.flatMap(({ lines }) => lines.chunks)))))
        throw new Error('the put was not applied');
    } catch (error) {
      this.#bytesUntilCheck = 0;
      failure = await commitError(error);
    }
    for (const { bytes, resolve, reject } of batches) {
      this.#waiting -= 1;
      this.#waitingBytes -= bytes;
      if (failure === undefined) resolve();
      else reject(failure);
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
    if (this.#committing) await new Promise<void>((resolve) => (this.#idle = resolve));
    await store.root.close();
  }
}

/** Batches in order → the batches of each record: two of them at least, because two puts start the commit at once. */
function intoRecords(batches: readonly Waiting[]): Waiting[][] {
  let bytes = 0;
  for (const batch of batches) bytes += batch.bytes;
  const bytesMax = Math.min(RECORD_BYTES_MAX, bytes / 2);
  const records: Waiting[][] = [];
  let filled = Infinity;
  for (const batch of batches) {
    if (filled >= bytesMax) {
      records.push([]);
      filled = 0;
    }
    records.at(-1)!.push(batch);
    filled += batch.bytes;
  }
  return records;
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
    const chunk = decodeRecord(value);
    return key + (chunk === undefined ? value.length : countLines(chunk));
  }
  return ackedEnd(store);
}
