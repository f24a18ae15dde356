import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  statSync,
  write,
} from 'node:fs';
import { rename, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkPosition } from '../../event/position.ts';
import { StoreError } from '../../event/store-error.ts';
import { isDiskFull } from './errors.ts';
import { endOf, lostBytes, readTail } from './reader.ts';
import {
  dropPrepared,
  listSegments,
  openAcked,
  preparedName,
  prepareSegment,
  SEGMENT_BYTES,
  segmentPath,
  setAside,
  type Acked,
} from './segments.ts';

const sync = promisify(fdatasync);
const fsyncFile = promisify(fsync);

/** A segment that lasted longer than this is followed by one of zeros, in milliseconds. */
const ZEROS_PAY_MS = 500;

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
  /** Called before a segment is made. Throws where the directory is no longer this process's own. */
  readonly beforeSegment?: () => void;
}

/** Adds bytes to the last segment, durably; begins another one when it is full. One call at a time. */
export class SegmentWriter {
  readonly #directory: string;
  /** Path of the file that is made ready as the next segment. */
  readonly #next: string;
  readonly #syncedWrites: boolean;
  readonly #writeAt: WriteAt;
  readonly #beforeSegment: () => void;
  #file: number | undefined;
  /** Whether the segment has its name. */
  #named = false;
  #segment = 0;
  #offset = 0;
  #size = 0;
  /** The folder, to make names in it durable. */
  #folder: number | undefined;
  #prepared: Promise<number> | undefined;
  /** What the last change of segments has left to do. */
  #behind: Promise<void> | undefined;
  #begunMs = -Infinity;
  /** Segment → bytes of all records before it, as far as they are still there. */
  readonly #bytesBefore = new Map<number, number>();

  constructor(
    directory: string,
    {
      syncedWrites = SYNCED_WRITES,
      writeAt = writeSome,
      beforeSegment = () => undefined,
    }: SegmentWriterOptions = {},
  ) {
    this.#directory = directory;
    this.#next = join(directory, preparedName());
    this.#syncedWrites = syncedWrites;
    this.#writeAt = writeAt;
    this.#beforeSegment = beforeSegment;
  }

  /** Finds the end of the journal and begins a new segment there. */
  async open(): Promise<{ acked: Acked; position: number; incomplete?: Incomplete }> {
    const directory = this.#directory;
    const acked = openAcked(directory);
    dropPrepared(directory);
    this.#folder = openSync(directory, constants.O_RDONLY);
    const last = listSegments(directory).at(-1);
    if (last === undefined) {
      await this.#settle(acked.position);
      return { acked, position: acked.position };
    }
    const tail = readTail(directory, acked.id, last);
    const lost = lostBytes(tail);
    const position = checkPosition(Math.max(acked.position, endOf(tail)), `journal: the segment ${last}`);
    const incomplete = lost > 0 ? { incomplete: this.#incomplete(tail.position, tail.rest, lost) } : {};
    await this.#measure();
    this.#segment = last;
    this.#offset = tail.bytes;
    if (tail.rest.length > 0) await truncate(segmentPath(directory, last), tail.bytes);
    await this.#settle(position);
    return { acked, position, ...incomplete };
  }

  /**
   * A new segment whose name is durable, and nothing left behind the last one. On a full disk it is made when there is
   * room again, by the first append: what is stored must be readable all the same.
   */
  async #settle(position: number): Promise<void> {
    try {
      const { named } = await this.#begin(position);
      await named;
      await this.#behind;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  #incomplete(position: number, rest: Buffer, lost: number): Incomplete {
    if (rest.length === 0) return { bytes: lost };
    const path = setAside(this.#directory, position, rest);
    return { bytes: rest.length, ...(path === undefined ? {} : { setAside: path }) };
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
    const fits = this.#file !== undefined && this.#offset + bytes.length <= this.#size;
    const begun = fits ? undefined : await this.#begin(position, bytes.length);
    const file = this.#file!;
    // Both are over before the file may be closed.
    for (const step of await Promise.allSettled([this.#write(file, bytes), begun?.named])) {
      if (step.status === 'fulfilled') continue;
      throw this.#abandon(file) ? step.reason : uncertain(step.reason);
    }
    this.#offset += bytes.length;
  }

  async #write(file: number, bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;)
      done += await this.#writeAt(file, bytes.subarray(done), this.#offset + done);
    if (!this.#syncedWrites) await sync(file);
  }

  /** Takes back what a failed write may have left, and writes to this segment no more. Returns whether it is gone. */
  #abandon(file: number): boolean {
    this.#file = undefined;
    try {
      ftruncateSync(file, this.#offset);
      return true;
    } catch {
      // The next segment begins at the same position; unless the process ends before, what is left here counts for nothing.
      return false;
    } finally {
      close(file, () => undefined);
    }
  }

  /**
   * Goes on in the prepared segment. The result settles when its name is durable; what is written to it before that is not
   * in the journal yet. Every step that is waited for costs a turn of a busy event loop, so there are few.
   */
  async #begin(position: number, bytes = 0): Promise<{ readonly named: Promise<void> }> {
    const directory = this.#directory;
    const file = await (this.#prepared ?? this.#prepare(true));
    this.#beforeSegment();
    this.#prepared = undefined;
    this.#named = false;
    const named = rename(this.#next, segmentPath(directory, position))
      .then(() => fsyncFile(this.#folder!))
      .then(() => void (this.#named = true));
    // Met where it is awaited.
    named.catch(() => undefined);
    const [old, before, end] = [this.#file, this.#segment, this.#offset];
    this.#bytesBefore.set(position, (this.#bytesBefore.get(before) ?? 0) + end);
    this.#file = file;
    this.#segment = position;
    this.#offset = 0;
    this.#size = Math.max(SEGMENT_BYTES, bytes);
    if (old !== undefined) closeSync(old);
    this.#behind = named
      .then(() => (before === position ? undefined : truncate(segmentPath(directory, before), end)))
      .catch(() => undefined);
    // Segments that are full in no time are written in large pieces, for which zeros cost more than they save.
    const nowMs = performance.now();
    const slow = nowMs - this.#begunMs > ZEROS_PAY_MS;
    this.#begunMs = nowMs;
    this.#prepared = named.then(() => this.#prepare(slow));
    this.#prepared.catch(() => (this.#prepared = undefined));
    return { named };
  }

  /** Why what is appended is not in the directory: the segment's name leads to another file, or to none. */
  loss(): string | undefined {
    if (this.#file === undefined || !this.#named) return undefined;
    const path = segmentPath(this.#directory, this.#segment);
    const [written, present] = [
      fstatSync(this.#file, { bigint: true }),
      statSync(path, { bigint: true, throwIfNoEntry: false }),
    ];
    if (present?.ino === written.ino && present.dev === written.dev) return undefined;
    return `${path} was ${present === undefined ? 'removed' : 'replaced'} while events were written to it`;
  }

  #prepare(zeros: boolean): Promise<number> {
    const flags = constants.O_WRONLY | (this.#syncedWrites ? constants.O_DSYNC : 0);
    return prepareSegment(this.#next, { flags, zeros });
  }

  /** `lost`: nothing in the directory is touched, it belongs to another process. */
  async close(lost = false): Promise<void> {
    await this.#behind;
    const prepared = await this.#prepared?.catch(() => undefined);
    for (const file of [prepared, this.#file, this.#folder]) if (file !== undefined) closeSync(file);
    this.#file = this.#folder = this.#prepared = undefined;
    if (!lost) dropPrepared(this.#directory);
  }
}

/** The write failed, and what it left cannot be taken back: after a crash it may turn out to be stored. */
function uncertain(cause: unknown): StoreError {
  return new StoreError('timeout', 'journal: a write failed and could not be taken back', { cause });
}
