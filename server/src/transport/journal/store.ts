import { randomUUID } from 'node:crypto';
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { open, type Database, type RootDatabase } from 'lmdb';
import { StoreError } from '../../event/store-error.ts';

/*
 * The journal on disk: one LMDB environment, `journal.lmdb`, with two databases.
 *
 * `records`: some records for all batches that share a commit. Key: the number of events taken before it since
 * the journal was made (so key + events of the record = the next key, and the difference of two keys is a number
 * of events).
 * Value: CRC-32 of the payload (4 bytes, big endian), then the payload: event lines in UTF-8, joined by \n.
 *
 * `meta`: `id`, a random name given when the journal was made; `acked`, the end of the last acknowledged
 * record. Records below `acked` are deleted in the same transaction that raises it.
 *
 * Commit: `overlappingSync` is off, so a put's promise resolves after the fdatasync of the transaction that
 * holds it; every put that arrives while a commit runs shares the next one (group commit). `eventTurnBatching`
 * is off, since it makes a promise of its own for each turn, which nobody can catch when the commit fails; with
 * `txnStartThreshold` 1 the second put of a turn starts the commit at once, a single one when the turn ends.
 *
 * Room: the file is longer than what LMDB uses of it, by zeros written ahead (`reserve`), so that a full disk is
 * met there and not by LMDB, whose client 3.5.6 overruns a 100-byte buffer when it reports a page that it could
 * not write, and may end the process.
 */

/** Bytes of a record before its payload. */
export const CRC_BYTES = 4;

const NEWLINE = 10;

/** Zeros written at a time. */
const ZEROS = Buffer.alloc(256 * 1_024);

/** The file's name in the data directory. LMDB keeps `journal.lmdb-lock` beside it. */
export const JOURNAL_FILE = 'journal.lmdb';

export interface JournalStore {
  readonly root: RootDatabase<Buffer, number>;
  readonly records: Database<Buffer, number>;
  readonly meta: Database<string | number, string>;
  /** The journal's name, for positions. */
  readonly id: string;
  readonly path: string;
}

/** Address space for the map: the limit, as much again for pages that are freed but not yet reusable, and slack. */
function mapBytes(bytesMax: number): number {
  return bytesMax * 2 + 256 * 1_024 * 1_024;
}

/** Opens the journal of a data directory, making it where there is none. Errors: `unavailable`, `corrupt`. */
export function openJournalStore(directory: string, bytesMax: number): JournalStore {
  try {
    return openJournalFile(join(directory, JOURNAL_FILE), mapBytes(bytesMax));
  } catch (error) {
    throw journalError(error);
  }
}

/** Opens a journal by its path. Throws LMDB's errors. */
export function openJournalFile(path: string, mapSize: number): JournalStore {
  // A variable, since the types of the client lack txnStartThreshold, which its README documents.
  const options = {
    path,
    noSubdir: true,
    encoding: 'binary',
    maxDbs: 4,
    mapSize,
    overlappingSync: false,
    eventTurnBatching: false,
    txnStartThreshold: 1,
  } as const;
  const root = open<Buffer, number>(options);
  const records = root.openDB<Buffer, number>({ name: 'records', encoding: 'binary' });
  const meta = root.openDB<string | number, string>({ name: 'meta', encoding: 'json' });
  meta.transactionSync(() => {
    if (meta.get('id') === undefined) meta.putSync('id', randomUUID());
  });
  return { root, records, meta, id: String(meta.get('id')), path };
}

/** The end of the last acknowledged record, 0 at first. */
export function ackedEnd(store: JournalStore): number {
  return Number(store.meta.get('acked') ?? 0);
}

/** Bytes on disk that the records take, in whole pages. */
export function recordBytes(store: JournalStore): number {
  // Another handle may have deleted records since this one last read.
  store.records.resetReadTxn();
  const stats = store.records.getStats() as {
    pageSize: number;
    treeBranchPageCount: number;
    treeLeafPageCount: number;
    overflowPages: number;
  };
  return (stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages) * stats.pageSize;
}

/**
 * Makes the file at least so many bytes longer than what LMDB uses of it, with bytes that the disk has given.
 * Returns false when the disk has not that many.
 */
export function reserve(store: JournalStore, bytes: number, chunkBytes: number): boolean {
  const { lastPageNumber, pageSize } = store.root.getStats() as { lastPageNumber: number; pageSize: number };
  const usedEnd = (lastPageNumber + 1) * pageSize;
  const { size } = statSync(store.path);
  if (size - usedEnd >= bytes) return true;
  const file = openSync(store.path, 'r+');
  try {
    for (let end = size; end < usedEnd + bytes + chunkBytes;)
      end += writeSync(file, ZEROS, 0, ZEROS.length, end);
    return true;
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    return false;
  } finally {
    closeSync(file);
  }
}

function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String((error as NodeJS.ErrnoException).code));
}

/** Chunks of lines → a record's value. */
export function encodeRecord(chunks: readonly Uint8Array[]): Buffer {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0) + chunks.length - 1;
  const record = Buffer.allocUnsafe(CRC_BYTES + bytes);
  let at = CRC_BYTES;
  for (const chunk of chunks) {
    if (at > CRC_BYTES) record[at++] = NEWLINE;
    record.set(chunk, at);
    at += chunk.length;
  }
  record.writeUInt32BE(crc32(record.subarray(CRC_BYTES)), 0);
  return record;
}

/** A record's value → its lines as one chunk of `EventLines`, or undefined when the checksum does not match. */
export function decodeRecord(record: Buffer): Buffer | undefined {
  if (record.length <= CRC_BYTES) return undefined;
  const payload = record.subarray(CRC_BYTES);
  if (crc32(payload) !== record.readUInt32BE(0)) return undefined;
  return payload;
}

/** LMDB's codes → ours. Its messages start with the code's name or are the operating system's. */
export function journalError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = JOURNAL_ERRORS.find(([pattern]) => pattern.test(message))?.[1] ?? 'unavailable';
  return new StoreError(code, `journal: ${message}`, { cause: error });
}

export const JOURNAL_ERRORS = [
  [/MDB_MAP_FULL|No space left|ENOSPC|EDQUOT|quota/i, 'unavailable'],
  [/MDB_CORRUPTED|MDB_PAGE_NOTFOUND|MDB_INVALID|MDB_VERSION_MISMATCH|not an LMDB file/i, 'corrupt'],
  [/MDB_BAD_VALSIZE/i, 'too-large'],
  [/closed/i, 'closed'],
] as const;
