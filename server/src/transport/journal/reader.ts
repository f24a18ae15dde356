import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Damage } from '../contract.ts';
import { HEADER_BYTES, readHeader, readLines, recordMark, type Header } from './records.ts';
import { listSegments, SEGMENT_BYTES, segmentPath } from './segments.ts';

/** Where a reader stands: before the record at `offset` of a segment. Everything below `position` is behind it. */
export interface Cursor {
  readonly segment: number;
  readonly offset: number;
  readonly position: number;
}

/** A record, or bytes where none could be read. */
export interface Step {
  /** The record's lines; absent where it is damaged, or was behind the cursor's position. */
  readonly lines?: Buffer;
  readonly events: number;
  readonly damage?: Damage;
  /** Bytes of the segment that were passed. */
  readonly bytes: number;
  readonly next: Cursor;
}

/** Read at a time; a longer record by itself. */
const PIECE_BYTES = 4 * 1_024 * 1_024;

const ZEROS = Buffer.alloc(64 * 1_024);

/** The first cursor for a position: at the start of the segment that may hold it. */
export function seek(directory: string, position: number): Cursor {
  const segments = listSegments(directory);
  const segment = segments.findLast((first) => first <= position) ?? segments[0] ?? 0;
  return { segment, offset: 0, position: Math.max(position, segment) };
}

/**
 * The records from a cursor up to a position, over as many segments as it takes. Each buffer is read once and never written
 * again, so its parts may be handed out.
 */
export function* readRecords(
  directory: string,
  id: string,
  from: Cursor,
  end: number,
): Generator<Step, void, void> {
  // A segment that is behind may have been removed since.
  const stands = existsSync(segmentPath(directory, from.segment));
  let cursor = stands || from.position >= end ? from : seek(directory, from.position);
  while (cursor.position < end) {
    for (const step of readSegment(directory, id, cursor, end)) {
      yield step;
      cursor = step.next;
    }
  }
}

/** The records of the cursor's segment up to a position; the last step leads to the next segment where the end is not in this one. */
function* readSegment(directory: string, id: string, from: Cursor, end: number): Generator<Step, void, void> {
  const after = listSegments(directory).find((first) => first > from.segment);
  const reader = new SegmentReader(segmentPath(directory, from.segment), id, after);
  try {
    let cursor = from;
    for (const step of reader.steps(from)) {
      yield step;
      cursor = step.next;
      if (cursor.position >= end) return;
    }
    yield leave(cursor, reader.rest(cursor.offset), after, end);
  } finally {
    reader.close();
  }
}

/** The step from the end of a segment's records to where reading goes on. */
function leave(cursor: Cursor, rest: Buffer, after: number | undefined, end: number): Step {
  const position = Math.max(cursor.position, after ?? end);
  // In the segment that is written to, the bytes of the next record may be among the rest already.
  const next = after === undefined ? { ...cursor, position } : { segment: after, offset: 0, position };
  // Bytes that the next segment does not miss were never acknowledged.
  const lost = rest.length > 0 && cursor.position < position;
  const damage = lost ? { damage: damageAt(cursor.position, rest) } : {};
  return { events: 0, bytes: rest.length, next, ...damage };
}

function damageAt(position: number, bytes: Buffer): Damage {
  return { reason: `journal record ${position}: checksum does not match`, body: bytes.toString('utf8') };
}

/** What lies behind the last record of the last segment. */
export interface Tail {
  /** The position after the last record. */
  readonly position: number;
  /** The length of the segment up to there. */
  readonly bytes: number;
  /** Bytes behind it that are no record, without the zeros after them. */
  readonly rest: Buffer;
  /** The file's length. */
  readonly size: number;
}

/** Reads a segment to its end. */
export function readTail(directory: string, id: string, segment: number): Tail {
  const reader = new SegmentReader(segmentPath(directory, segment), id);
  try {
    let cursor: Cursor = { segment, offset: 0, position: segment };
    for (const step of reader.steps(cursor)) cursor = step.next;
    const { position, offset: bytes } = cursor;
    return { position, bytes, rest: reader.rest(bytes), size: reader.size };
  } finally {
    reader.close();
  }
}

/** Bytes that the end of a journal lacks or that are no record; 0 when it was closed in order. */
export function lostBytes({ rest, size }: Tail): number {
  return Math.max(rest.length, SEGMENT_BYTES - size, 0);
}

/** Where positions go on. An event takes more than a byte: whatever was lost, no position is given twice. */
export function endOf(tail: Tail): number {
  return tail.position + lostBytes(tail);
}

/** Where positions go on in a folder of segments, whatever was acknowledged; 0 where there are none. */
export function endOfSegments(directory: string, id: string): number {
  const last = listSegments(directory).at(-1);
  return last === undefined ? 0 : endOf(readTail(directory, id, last));
}

/** One segment, open for reading. */
class SegmentReader {
  readonly size: number;
  readonly #file: number;
  readonly #id: string;
  /** Where the next segment begins: what stands here from that position on was never acknowledged. */
  readonly #after: number;
  #piece: Buffer = Buffer.alloc(0);
  #pieceAt = 0;

  constructor(path: string, id: string, after = Infinity) {
    this.#file = openSync(path, 'r');
    this.#id = id;
    this.#after = after;
    this.size = fstatSync(this.#file).size;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** The records from a cursor to the last one of the segment, with what is damaged in between. */
  *steps(from: Cursor): Generator<Step, void, void> {
    let cursor = from;
    for (;;) {
      const header = this.#headerAt(cursor.offset);
      const lines = header && this.#linesAt(cursor.offset, header);
      let step: Step;
      if (header !== undefined && lines !== undefined) {
        step = recordStep(cursor, header, lines);
      } else {
        const found = this.#find(cursor.offset);
        if (found === undefined) return;
        const damaged = this.#bytes(cursor.offset, found.offset - cursor.offset);
        step = damageStep(cursor, found, damaged);
      }
      yield step;
      cursor = step.next;
    }
  }

  /** What lies behind an offset, without the zeros at its end. */
  rest(offset: number): Buffer {
    const bytes = this.#bytes(offset, this.size - offset);
    let end = bytes.length;
    while (end >= ZEROS.length && bytes.subarray(end - ZEROS.length, end).equals(ZEROS)) end -= ZEROS.length;
    while (end > 0 && bytes[end - 1] === 0) end -= 1;
    return bytes.subarray(0, end);
  }

  #headerAt(offset: number): Header | undefined {
    if (offset + HEADER_BYTES > this.size) return undefined;
    const header = readHeader(this.#bytes(offset, HEADER_BYTES), this.#id);
    return header !== undefined && header.position < this.#after ? header : undefined;
  }

  #linesAt(offset: number, { bytes }: Header): Buffer | undefined {
    if (offset + HEADER_BYTES + bytes > this.size) return undefined;
    return readLines(this.#bytes(offset, HEADER_BYTES + bytes));
  }

  /** The first good record behind an offset. */
  #find(from: number): { offset: number; position: number } | undefined {
    if (from >= this.size) return undefined;
    const rest = this.#bytes(from, this.size - from);
    const mark = recordMark(this.#id);
    for (let at = rest.indexOf(mark, 1); at !== -1; at = rest.indexOf(mark, at + 1)) {
      const header = this.#headerAt(from + at);
      if (header === undefined || this.#linesAt(from + at, header) === undefined) continue;
      return { offset: from + at, position: header.position };
    }
    return undefined;
  }

  /** Bytes of the file, out of a piece that was read before where it holds them. */
  #bytes(offset: number, length: number): Buffer {
    const within = offset >= this.#pieceAt && offset + length <= this.#pieceAt + this.#piece.length;
    if (!within) {
      const piece = Buffer.allocUnsafeSlow(Math.min(Math.max(length, PIECE_BYTES), this.size - offset));
      let read = 0;
      while (read < piece.length) {
        const count = readSync(this.#file, piece, read, piece.length - read, offset + read);
        read += count;
        if (count > 0) continue;
        // The writer has cut it off meanwhile: zeros, or what a failed write left.
        piece.fill(0, read);
        break;
      }
      this.#piece = piece;
      this.#pieceAt = offset;
    }
    return this.#piece.subarray(offset - this.#pieceAt, offset - this.#pieceAt + length);
  }
}

function recordStep(cursor: Cursor, header: Header, lines: Buffer): Step {
  const bytes = HEADER_BYTES + header.bytes;
  const end = header.position + header.events;
  const next = { ...cursor, offset: cursor.offset + bytes, position: Math.max(cursor.position, end) };
  return end > cursor.position ? { lines, events: header.events, bytes, next } : { events: 0, bytes, next };
}

function damageStep(
  cursor: Cursor,
  found: { readonly offset: number; readonly position: number },
  bytes: Buffer,
): Step {
  const next = { ...cursor, ...found, position: Math.max(cursor.position, found.position) };
  const damage = found.position > cursor.position ? { damage: damageAt(cursor.position, bytes) } : {};
  return { events: 0, bytes: bytes.length, next, ...damage };
}
