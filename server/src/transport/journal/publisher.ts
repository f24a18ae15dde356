import { join } from 'node:path';
import type { EventLines } from '../../event/lines.ts';
import { POSITION_MAX } from '../../event/position.ts';
import { StoreError } from '../../event/store-error.ts';
import type { Publisher, PublisherLimits, PublisherStats } from '../contract.ts';
import { journalError } from './errors.ts';
import { JournalHead } from './head.ts';
import { seek } from './reader.ts';
import { linesBytes, recordBytes, writeRecord } from './records.ts';
import { JOURNAL_DIRECTORY } from './segments.ts';
import { SegmentWriter, type Incomplete, type SegmentWriterOptions } from './writer.ts';

export interface JournalPublisherOptions {
  /** The data directory. */
  readonly directory: string;
  readonly limits: PublisherLimits;
  /** Free bytes that must stay on the disk for the warehouse and for clean-up; below it the journal is full. */
  readonly freeBytes: () => number;
  readonly freeBytesMin: number;
  /** Shared with the source that reads this journal beside it. */
  readonly head: JournalHead;
  /** Told at the start when the journal was not closed in order and its last bytes are no record. */
  readonly onIncomplete: (incomplete: Incomplete) => void;
  /** Why the data directory is not this process's own any more; undefined while it is. */
  readonly directoryLoss: () => string | undefined;
  /** Told once, when the directory or the segment is lost: nothing is acknowledged from then on. */
  readonly onLoss: (reason: string) => void;
  /** How the files are written; for tests. */
  readonly writer?: SegmentWriterOptions;
}

/** No event is acknowledged on a look at the directory that is older, in milliseconds. Less than a second start waits. */
const OWNED_MS = 250;

/** How many bytes may be written before the disk is looked at again. */
const DISK_CHECK_BYTES = 1_024 * 1_024;

/** A record takes no further batch at this size, so that damage costs no more than it must. */
const RECORD_BYTES_MAX = 256 * 1_024;

/** A commit takes no further batch at this size; what waits beyond goes into the next. */
const COMMIT_BYTES_MAX = 4 * 1_024 * 1_024;

/** The buffer of commits is kept up to this size: that of the largest batch over HTTP, and its records. */
const SCRATCH_BYTES_MAX = 16 * 1_024 * 1_024;

/** The longest batch. */
const BATCH_BYTES_MAX = 64 * 1_024 * 1_024;

/** Lines held in memory until they are written; a disk that stalls must not fill it. */
const WAITING_BYTES_MAX = 128 * 1_024 * 1_024;

/** A batch that waits for its commit. */
interface Waiting {
  readonly lines: EventLines;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/**
 * Writes accepted events into the journal; see `segments.ts` for its files, `records.ts` for their format, and `Publisher`
 * for the promises.
 *
 * Group commit: one commit is under way at a time, one durable write. Batches that arrive meanwhile wait and share the
 * next one.
 */
export class JournalPublisher implements Publisher {
  readonly name = 'journal';
  readonly limits: PublisherLimits;
  readonly #options: JournalPublisherOptions;
  readonly #head: JournalHead;
  readonly #writer: SegmentWriter;
  #id = '';
  #open = false;
  #queue: Waiting[] = [];
  #committing = false;
  #waiting = 0;
  #waitingBytes = 0;
  #bytesUntilCheck = 0;
  #idle: (() => void) | undefined;
  #scratch = Buffer.alloc(0);
  /** Why nothing is acknowledged any more. */
  #loss: string | undefined;
  /** Why it could not be looked whether the directory is still this process's own. */
  #lookFailure: string | undefined;
  #ownedAtMs = -Infinity;
  #watch: NodeJS.Timeout | undefined;

  constructor(options: JournalPublisherOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.#head = options.head;
    this.#writer = new SegmentWriter(join(options.directory, JOURNAL_DIRECTORY), {
      ...options.writer,
      beforeSegment: () => this.#requireOwned(),
    });
  }

  async open(): Promise<void> {
    try {
      const { acked, position, incomplete } = await this.#writer.open();
      this.#id = acked.id;
      this.#head.acked = seek(join(this.#options.directory, JOURNAL_DIRECTORY), acked.position);
      this.#head.written = position;
      this.#open = true;
      this.#watch = setInterval(() => this.#findLoss(), OWNED_MS).unref();
      if (incomplete !== undefined) this.#options.onIncomplete(incomplete);
    } catch (error) {
      throw journalError(error);
    }
  }

  publish(lines: EventLines): Promise<void> {
    const bytes = linesBytes(lines);
    const refusal = this.refusal(bytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#bytesUntilCheck -= bytes;
    return new Promise((resolve, reject) => {
      this.#queue.push({ lines, bytes, resolve, reject });
      this.#waiting += 1;
      this.#waitingBytes += bytes;
      if (this.#committing) return;
      this.#committing = true;
      // After the requests that the event loop has at hand.
      setImmediate(() => void this.#commitQueue());
    });
  }

  refusal(bytes: number): StoreError | undefined {
    if (!this.#open) return new StoreError('closed', 'journal: closed');
    if (this.#unowned !== undefined) return new StoreError('unavailable', `journal: ${this.#unowned}`);
    if (this.#waiting >= this.limits.waitingMax) {
      return new StoreError('unavailable', `journal: ${this.#waiting} requests are waiting already`);
    }
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX) {
      return new StoreError('unavailable', `journal: ${this.#waitingBytes} bytes are waiting already`);
    }
    if (bytes > BATCH_BYTES_MAX) {
      return new StoreError('too-large', `journal: a batch must have at most ${BATCH_BYTES_MAX} bytes`);
    }
    const stored = this.#bytes() + this.#waitingBytes;
    if (stored + bytes > this.limits.bytesMax) {
      return new StoreError('unavailable', `journal: full, ${stored} of ${this.limits.bytesMax} bytes`);
    }
    return this.#diskRefusal(bytes);
  }

  /** Looks at the disk once in every so many bytes, and each time it is asked while the disk is full. */
  #diskRefusal(bytes: number): StoreError | undefined {
    if (this.#bytesUntilCheck > bytes) return undefined;
    let free: number;
    try {
      free = this.#options.freeBytes();
    } catch (error) {
      return journalError(error);
    }
    if (free - bytes < this.#options.freeBytesMin) {
      return new StoreError('unavailable', `journal: the disk is full, ${free} bytes free`);
    }
    this.#bytesUntilCheck = DISK_CHECK_BYTES;
    return undefined;
  }

  async #commitQueue(): Promise<void> {
    while (this.#queue.length > 0) await this.#commit(this.#nextCommit());
    this.#committing = false;
    this.#idle?.();
  }

  #nextCommit(): readonly Waiting[] {
    let bytes = 0;
    const end = this.#queue.findIndex((batch) => (bytes += batch.bytes) > COMMIT_BYTES_MAX);
    if (end === -1) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, Math.max(end, 1));
  }

  /** Writes the batches, and settles them once they are durable or have failed. */
  async #commit(batches: readonly Waiting[]): Promise<void> {
    let failure: StoreError | undefined;
    try {
      // Never below what the warehouse knows, whatever the journal has lost.
      const from = Math.max(this.#head.written, this.#head.acked.position);
      const { bytes, position } = this.#encode(batches, from);
      if (position > POSITION_MAX)
        throw new StoreError('unavailable', `journal: no positions are left after ${from}`);
      await this.#writer.append(bytes, from);
      this.#confirmOwned();
      this.#head.written = position;
    } catch (error) {
      this.#bytesUntilCheck = 0;
      failure = journalError(error);
    }
    for (const { bytes, resolve, reject } of batches) {
      this.#waiting -= 1;
      this.#waitingBytes -= bytes;
      if (failure === undefined) resolve();
      else reject(failure);
    }
  }

  /** Why no event may be acknowledged: the directory is lost, or could not be looked at. */
  get #unowned(): string | undefined {
    return this.#loss ?? this.#lookFailure;
  }

  /** Nothing is made in a directory of another process. */
  #requireOwned(): void {
    this.#findLoss();
    if (this.#unowned !== undefined) throw new StoreError('unavailable', `journal: ${this.#unowned}`);
  }

  /** For events that are written: what becomes of them in the files of another process is not known. */
  #confirmOwned(): void {
    if (performance.now() - this.#ownedAtMs > OWNED_MS) this.#findLoss();
    if (this.#unowned !== undefined) throw new StoreError('timeout', `journal: ${this.#unowned}`);
  }

  #findLoss(): void {
    if (this.#loss !== undefined) return;
    const lookedAtMs = performance.now();
    try {
      this.#loss = this.#options.directoryLoss() ?? this.#writer.loss();
      this.#lookFailure = undefined;
    } catch (error) {
      // The disk, or a right that was taken away: it may come back.
      this.#lookFailure = (error as Error).message;
      return;
    }
    if (this.#loss === undefined) {
      this.#ownedAtMs = lookedAtMs;
      return;
    }
    this.#head.lose();
    this.#options.onLoss(this.#loss);
  }

  #encode(batches: readonly Waiting[], from: number): { bytes: Buffer; position: number } {
    const records = intoRecords(batches);
    const bytes = this.#commitBuffer(records.reduce((sum, record) => sum + recordBytes(record), 0));
    let position = from;
    let end = 0;
    for (const record of records) {
      end = writeRecord(bytes, end, { id: this.#id, position, batches: record });
      for (const { count } of record) position += count;
    }
    return { bytes, position };
  }

  /** One commit is under way at a time, so its buffer serves the next. */
  #commitBuffer(length: number): Buffer {
    if (length > this.#scratch.length)
      this.#scratch = Buffer.allocUnsafeSlow(Math.min(2 * length, Math.max(length, SCRATCH_BYTES_MAX)));
    const bytes = this.#scratch.subarray(0, length);
    if (this.#scratch.length > SCRATCH_BYTES_MAX) this.#scratch = Buffer.alloc(0);
    return bytes;
  }

  /** Bytes of records that are not acknowledged. */
  #bytes(): number {
    const { acked, written } = this.#head;
    return acked.position >= written ? 0 : this.#writer.bytesFrom(acked);
  }

  stats(): PublisherStats {
    if (!this.#open) return { events: 0, bytes: 0, waiting: 0 };
    const { acked, written } = this.#head;
    return { events: Math.max(0, written - acked.position), bytes: this.#bytes(), waiting: this.#waiting };
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    if (this.#committing) await new Promise<void>((resolve) => (this.#idle = resolve));
    clearInterval(this.#watch);
    this.#findLoss();
    await this.#writer.close(this.#loss !== undefined);
  }
}

/** Batches in order → the batches of each record. A batch is never split. */
function intoRecords(batches: readonly Waiting[]): EventLines[][] {
  const records: EventLines[][] = [];
  let filled = RECORD_BYTES_MAX;
  for (const { lines, bytes } of batches) {
    if (filled >= RECORD_BYTES_MAX) {
      records.push([]);
      filled = 0;
    }
    records.at(-1)!.push(lines);
    filled += bytes;
  }
  return records;
}
