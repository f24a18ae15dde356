import { statSync } from 'node:fs';
import { constants, copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventLines, firstLine } from '../../event/lines.ts';
import type { Position } from '../../event/position.ts';
import { StoreError } from '../../event/store-error.ts';
import { parseJson } from '../../event/strict-json.ts';
import type { Damage, Delivery, ReceiveOptions, Source, SourceStats } from '../contract.ts';
import { journalError } from './errors.ts';
import { JournalHead } from './head.ts';
import { readRecords, readTail, seek, type Cursor } from './reader.ts';
import {
  ACKED_FILE,
  JOURNAL_DIRECTORY,
  listSegments,
  openAcked,
  removeSegments,
  segmentPath,
  writeAcked,
} from './segments.ts';

export interface JournalSourceOptions {
  /** The data directory. */
  readonly directory: string;
  /** Memory of a `JournalHead` whose publisher is open; absent when nobody writes. */
  readonly head?: SharedArrayBuffer;
}

/** How often an empty journal is looked at again, in milliseconds. */
const POLL_MS = 20;

/** Reads the journal in order, from its own thread if need be; see `Source` for the promises. */
export class JournalSource implements Source {
  readonly name = 'journal';
  readonly #directory: string;
  readonly #head: JournalHead;
  readonly #alone: boolean;
  /** The journal's id while it is open. */
  #id: string | undefined;
  #next: Cursor = { segment: 0, offset: 0, position: 0 };
  /** The folder that was opened. */
  #folder: { readonly dev: bigint; readonly ino: bigint } | undefined;
  /** What waits longest behind a position: reports ask often, and it stays until the next acknowledgement. */
  #oldest: { readonly position: number; readonly stats: SourceStats } | undefined;
  /** Backups being made: nothing may be removed under them. */
  #held = 0;

  constructor({ directory, head }: JournalSourceOptions) {
    this.#directory = join(directory, JOURNAL_DIRECTORY);
    this.#head = new JournalHead(head);
    this.#alone = head === undefined;
  }

  open(stored: readonly Position[]): Promise<void> {
    try {
      if (this.#head.lost)
        throw new StoreError('closed', "journal: the directory is no longer this process's own");
      const { id, position } = openAcked(this.#directory);
      const held = stored.find(({ source }) => source === id)?.end ?? 0;
      this.#next = seek(this.#directory, Math.max(position, held));
      this.#head.acked = this.#next;
      this.#oldest = undefined;
      // So that the next start knows it too, even if the warehouse cannot be asked then.
      if (!this.#alone) removeSegments(this.#directory, this.#next.position);
      if (held > position) writeAcked(this.#directory, { id, position: held });
      if (this.#alone) this.#head.written = writtenBefore(this.#directory, id, this.#next.position);
      this.#folder = statSync(this.#directory, { bigint: true });
      this.#id = id;
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(journalError(error));
    }
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

  #read({ eventsMax, bytesMax }: ReceiveOptions): Delivery | undefined {
    const id = this.#opened();
    const from = this.#next;
    let end = from;
    const chunks: Buffer[] = [];
    const damaged: Damage[] = [];
    let count = 0;
    let bytes = 0;
    try {
      for (const step of readRecords(this.#directory, id, from, this.#head.written)) {
        if (step.lines !== undefined) chunks.push(step.lines);
        if (step.damage !== undefined) damaged.push(step.damage);
        count += step.events;
        bytes += step.bytes;
        end = step.next;
        if (count >= eventsMax || bytes >= bytesMax) break;
      }
    } catch (error) {
      throw journalError(error);
    }
    if (end === from) return undefined;
    this.#next = end;
    return {
      lines: new EventLines(chunks, count),
      damaged,
      position: { source: id, end: end.position },
      ack: () => this.#ack(id, end),
      nack: () => {
        if (from.position < this.#next.position) this.#next = from;
      },
    };
  }

  /** Notes how far, and removes the segments before; not in a folder that another process has put in the place of ours. */
  #ack(id: string, end: Cursor): Promise<void> {
    try {
      const { dev, ino } = statSync(this.#directory, { bigint: true });
      if (this.#head.lost || dev !== this.#folder?.dev || ino !== this.#folder.ino)
        throw new StoreError('closed', "journal: the directory is no longer this process's own");
      this.#head.acked = end;
      if (this.#held === 0) removeSegments(this.#directory, end.position);
      writeAcked(this.#directory, { id, position: end.position });
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(journalError(error));
    }
  }

  stats(): SourceStats {
    const id = this.#opened();
    const { acked, written } = this.#head;
    if (this.#oldest?.position === acked.position) return this.#oldest.stats;
    for (const { lines } of readRecords(this.#directory, id, acked, written)) {
      if (lines === undefined) continue;
      const { received_at: oldestReceivedAtUs } = parseJson(firstLine(lines)) as { received_at: number };
      this.#oldest = { position: acked.position, stats: { oldestReceivedAtUs } };
      return this.#oldest.stats;
    }
    return {};
  }

  /** The position after the last durable record; undefined when the journal is not open. */
  get written(): number | undefined {
    return this.#id === undefined ? undefined : this.#head.written;
  }

  /** The position up to which all is acknowledged. */
  get acked(): number {
    return this.#head.acked.position;
  }

  /**
   * Writes a copy of the journal into the directory, while it is in use. `copyWarehouse` has its turn between the note of
   * what is acknowledged and the segments: what its copy lacks is in the segments, and it knows no position that they
   * do not, or events taken after a restore could be given positions that it holds for stored. Whoever asks for it syncs
   * the copy and names it (`cli/backup.ts`).
   */
  async backup(directory: string, copyWarehouse: () => Promise<void>): Promise<void> {
    this.#opened();
    const target = join(directory, JOURNAL_DIRECTORY);
    this.#held += 1;
    try {
      await rm(target, { recursive: true, force: true });
      await mkdir(target, { recursive: true, mode: 0o700 });
      await copyFile(join(this.#directory, ACKED_FILE), join(target, ACKED_FILE), constants.COPYFILE_EXCL);
      await copyWarehouse();
      for (const segment of listSegments(this.#directory)) {
        await copyFile(
          segmentPath(this.#directory, segment),
          segmentPath(target, segment),
          constants.COPYFILE_EXCL,
        );
      }
    } catch (error) {
      throw journalError(error);
    } finally {
      this.#held -= 1;
    }
  }

  close(): Promise<void> {
    this.#id = undefined;
    return Promise.resolve();
  }

  #opened(): string {
    if (this.#id === undefined) throw new StoreError('closed', 'journal: closed');
    return this.#id;
  }
}

/** The end of a journal that nobody writes to. */
function writtenBefore(directory: string, id: string, acked: number): number {
  const last = listSegments(directory).at(-1);
  return last === undefined ? acked : Math.max(acked, readTail(directory, id, last).position);
}
