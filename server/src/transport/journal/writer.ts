import { closeSync, constants, fdatasync, ftruncateSync, openSync, write } from 'node:fs';
import { stat, truncate } from 'node:fs/promises';
import { promisify } from 'node:util';
import { readTail } from './reader.ts';
import {
  beginSegment,
  dropPrepared,
  listSegments,
  openAcked,
  prepareSegment,
  SEGMENT_BYTES,
  segmentPath,
  setAside,
  type Acked,
} from './segments.ts';

const sync = promisify(fdatasync);

/** Writes some of the bytes at a place in a file, and tells how many. */
export type WriteAt = (file: number, bytes: Buffer, at: number) => Promise<number>;

const writeSome: WriteAt = (file, bytes, at) =>
  new Promise((resolve, reject) => {
    write(file, bytes, 0, bytes.length, at, (error, written) => (error ? reject(error) : resolve(written)));
  });

/**
 * On Linux a file can be opened so that each write is durable when it returns, in one system call. Elsewhere it is synced
 * after each write, which on macOS is also what reaches the disk's own memory.
 */
const SYNCED_WRITES = process.platform === 'linux';

/** What was found behind the last record of a journal that was not closed in order. */
export interface Incomplete {
  /** Bytes of it. */
  readonly bytes: number;
  /** Where they are now; absent when the file ended too early, so that there is nothing. */
  readonly setAside?: string;
}

export interface SegmentWriterOptions {
  /** Whether a write is durable when it returns; else it is synced. Default: on Linux. */
  readonly syncedWrites?: boolean;
  /** Default: the system's. */
  readonly writeAt?: WriteAt;
}

/** Adds bytes to the last segment, durably; begins another one when it is full. One call at a time. */
export class SegmentWriter {
  readonly #directory: string;
  readonly #syncedWrites: boolean;
  readonly #writeAt: WriteAt;
  #file: number | undefined;
  #segment = 0;
  #offset = 0;
  #size = 0;
  #prepared: Promise<unknown> | undefined;
  /** Segment → bytes of all records before it, as far as they are still there. */
  readonly #bytesBefore = new Map<number, number>();

  constructor(
    directory: string,
    { syncedWrites = SYNCED_WRITES, writeAt = writeSome }: SegmentWriterOptions = {},
  ) {
    this.#directory = directory;
    this.#syncedWrites = syncedWrites;
    this.#writeAt = writeAt;
  }

  /** Finds the end of the journal and begins a new segment there. */
  async open(): Promise<{ acked: Acked; position: number; incomplete?: Incomplete }> {
    const directory = this.#directory;
    const acked = openAcked(directory);
    dropPrepared(directory);
    const last = listSegments(directory).at(-1);
    if (last === undefined) {
      await this.#begin(acked.position);
      return { acked, position: acked.position };
    }
    const tail = readTail(directory, acked.id, last);
    // An event takes more than a byte: whatever was lost, no position is given twice.
    const lost = Math.max(tail.rest.length, SEGMENT_BYTES - tail.size);
    const position = Math.max(acked.position, tail.position + Math.max(lost, 0));
    const incomplete = lost > 0 ? { incomplete: this.#incomplete(tail.position, tail.rest, lost) } : {};
    await this.#measure();
    this.#segment = last;
    this.#offset = tail.bytes;
    await this.#begin(position);
    return { acked, position, ...incomplete };
  }

  #incomplete(position: number, rest: Buffer, lost: number): Incomplete {
    if (rest.length === 0) return { bytes: lost };
    return { bytes: rest.length, setAside: setAside(this.#directory, position, rest) };
  }

  async #measure(): Promise<void> {
    let bytes = 0;
    for (const segment of listSegments(this.#directory)) {
      this.#bytesBefore.set(segment, bytes);
      bytes += (await stat(segmentPath(this.#directory, segment))).size;
    }
  }

  /** Bytes of records from a place in the journal to its end. */
  bytesFrom({ segment, offset }: { readonly segment: number; readonly offset: number }): number {
    for (const before of this.#bytesBefore.keys()) {
      if (before >= segment) break;
      this.#bytesBefore.delete(before);
    }
    const end = (this.#bytesBefore.get(this.#segment) ?? 0) + this.#offset;
    return Math.max(0, end - (this.#bytesBefore.get(segment) ?? 0) - offset);
  }

  /**
   * Resolves when the bytes are durable. When it rejects, they are not in the journal, and the next ones go into a new
   * segment.
   */
  async append(bytes: Buffer, position: number): Promise<void> {
    if (this.#file === undefined || this.#offset + bytes.length > this.#size)
      await this.#begin(position, bytes.length);
    const file = this.#file!;
    try {
      for (let done = 0; done < bytes.length;)
        done += await this.#writeAt(file, bytes.subarray(done), this.#offset + done);
      if (!this.#syncedWrites) await sync(file);
    } catch (error) {
      this.#abandon(file);
      throw error;
    }
    this.#offset += bytes.length;
  }

  /** Takes back what a failed write may have left, and writes to this segment no more. */
  #abandon(file: number): void {
    this.#file = undefined;
    try {
      ftruncateSync(file, this.#offset);
    } catch {
      // The next segment begins at the same position, so that what is left here counts for nothing.
    }
    closeSync(file);
  }

  async #begin(position: number, bytes = 0): Promise<void> {
    const directory = this.#directory;
    await (this.#prepared ?? prepareSegment(directory, SEGMENT_BYTES));
    this.#prepared = undefined;
    await beginSegment(directory, position);
    const file = openSync(
      segmentPath(directory, position),
      constants.O_WRONLY | (this.#syncedWrites ? constants.O_DSYNC : 0),
    );
    if (this.#file !== undefined) closeSync(this.#file);
    const [before, end] = [this.#segment, this.#offset];
    this.#bytesBefore.set(position, (this.#bytesBefore.get(before) ?? 0) + end);
    this.#file = file;
    this.#segment = position;
    this.#offset = 0;
    this.#size = Math.max(SEGMENT_BYTES, bytes);
    if (before !== position) await truncate(segmentPath(directory, before), end).catch(() => undefined);
    this.prepare();
  }

  /** Makes the next segment ready beside the work, so that a full disk is met there and not by a record. */
  prepare(): void {
    if (this.#prepared !== undefined) return;
    this.#prepared = prepareSegment(this.#directory, SEGMENT_BYTES);
    this.#prepared.catch(() => (this.#prepared = undefined));
  }

  async close(): Promise<void> {
    await this.#prepared?.catch(() => undefined);
    dropPrepared(this.#directory);
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
