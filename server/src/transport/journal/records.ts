import { crc32 } from 'node:zlib';
import type { EventLines } from '../../event/lines.ts';

/*
 * A record of the journal: one line of header, then event lines. All of it is text:
 *
 *   # <journal> <position> <events> <bytes> <crc>\n
 *   {"event_id":…}\n
 *   {"event_id":…}\n
 *
 * journal: the journal's id, 16 hexadecimal digits. position: the number of events taken before this record since the
 * journal was made, 16 decimal digits. events: its lines, 8 digits. bytes: of its lines with the \n after each, 8 digits.
 * crc: CRC-32 of everything in the record but itself and its \n, 8 hexadecimal digits. An event line begins with a brace, so
 * `grep '^{'` shows the events.
 */

const ID_CHARS = 16;
const POSITION_CHARS = 16;
const COUNT_CHARS = 8;
const CRC_CHARS = 8;
const POSITION_AT = 2 + ID_CHARS + 1;
const EVENTS_AT = POSITION_AT + POSITION_CHARS + 1;
const BYTES_AT = EVENTS_AT + COUNT_CHARS + 1;
const CRC_AT = BYTES_AT + COUNT_CHARS + 1;

/** Bytes of a record before its lines. */
export const HEADER_BYTES = CRC_AT + CRC_CHARS + 1;

const NEWLINE = 10;

/** A header that looks like one; only the checksum tells whether the record is good. */
export interface Header {
  readonly position: number;
  readonly events: number;
  /** Of the lines that follow, each with its \n. */
  readonly bytes: number;
}

/** How a record of this journal begins. */
export function recordMark(id: string): string {
  return `# ${id} `;
}

/** The length of the record that holds these batches. */
export function recordBytes(batches: readonly EventLines[]): number {
  return batches.reduce((sum, batch) => sum + linesBytes(batch), HEADER_BYTES);
}

/** The length that a batch takes in a record: its lines with the \n after each. */
export function linesBytes({ chunks }: EventLines): number {
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length + 1;
  return bytes;
}

/** Writes the batches as one record into a buffer, from an offset. Returns where the record ends. */
export function writeRecord(
  target: Buffer,
  from: number,
  { id, position, batches }: { id: string; position: number; batches: readonly EventLines[] },
): number {
  let end = from + HEADER_BYTES;
  let events = 0;
  for (const { chunks, count } of batches) {
    events += count;
    for (const chunk of chunks) {
      target.set(chunk, end);
      end += chunk.length;
      target[end] = NEWLINE;
      end += 1;
    }
  }
  const bytes = end - from - HEADER_BYTES;
  const head = `${recordMark(id)}${digits(position, POSITION_CHARS)} ${digits(events, COUNT_CHARS)} ${digits(bytes, COUNT_CHARS)} `;
  target.write(head, from, 'latin1');
  const crc = checksum(target.subarray(from, end)).toString(16).padStart(CRC_CHARS, '0');
  target.write(`${crc}\n`, from + CRC_AT, 'latin1');
  return end;
}

function digits(value: number, chars: number): string {
  return String(value).padStart(chars, '0');
}

function checksum(record: Buffer): number {
  return crc32(record.subarray(HEADER_BYTES), crc32(record.subarray(0, CRC_AT)));
}

/** The header at the start of the bytes, or undefined when none of this journal stands there. */
export function readHeader(bytes: Buffer, id: string): Header | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const text = bytes.toString('latin1', 0, HEADER_BYTES);
  if (!text.startsWith(recordMark(id)) || !HEADER.test(text)) return undefined;
  return {
    position: Number(text.slice(POSITION_AT, POSITION_AT + POSITION_CHARS)),
    events: Number(text.slice(EVENTS_AT, EVENTS_AT + COUNT_CHARS)),
    bytes: Number(text.slice(BYTES_AT, BYTES_AT + COUNT_CHARS)),
  };
}

const HEADER = /^# [0-9a-f]{16} \d{16} \d{8} \d{8} [0-9a-f]{8}\n$/;

/** The lines of a whole record as one chunk of `EventLines`, or undefined when its checksum does not match. */
export function readLines(record: Buffer): Buffer | undefined {
  const crc = parseInt(record.toString('latin1', CRC_AT, CRC_AT + CRC_CHARS), 16);
  if (record.length <= HEADER_BYTES + 1 || checksum(record) !== crc) return undefined;
  return record.subarray(HEADER_BYTES, -1);
}
