import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkPosition } from '../../event/position.ts';
import { isDiskFull } from './errors.ts';

/*
 * The journal's folder in the data directory: segments, files of records one after the other, each named after the position
 * of its first record. Records are only ever added, to the last segment, which is filled with zeros beforehand: writing
 * where the disk has given its room already is one synchronous write that changes nothing else. A new segment
 * begins when the last is full, after a write that failed, and at each start, so that nothing is ever written
 * behind bytes of which nobody knows. A segment is removed once all of its records are acknowledged.
 *
 * `acked`: the journal's id and the position up to which events are stored elsewhere. It is written in place and not
 * synced: when a power failure loses the last of it, the warehouse knows its own position.
 */

/** The folder's name in the data directory. */
export const JOURNAL_DIRECTORY = 'journal';

/** The length of a segment. A record that is longer has one of its own length. */
export const SEGMENT_BYTES = 8 * 1_024 * 1_024;

/**
 * How the files begin that are made ready as segments. Each writer has a name of its own, so that a rename that comes late, in a
 * process that has lost the directory, finds nothing to rename.
 */
const NEXT_PREFIX = 'next';

/** A name for the files that one writer makes ready. */
export function preparedName(): string {
  return `${NEXT_PREFIX}-${randomBytes(8).toString('hex')}`;
}
export const ACKED_FILE = 'acked';

const SEGMENT_NAME = /^(\d{16})\.log$/;
const ZEROS = Buffer.alloc(1_024 * 1_024);

/** Positions of first records, ascending. Errors: `corrupt` where no counting leads to one. */
export function listSegments(directory: string): number[] {
  return readdirSync(directory)
    .flatMap((name) => SEGMENT_NAME.exec(name)?.[1] ?? [])
    .map((digits) => checkPosition(Number(digits), `journal: the segment ${digits}.log`))
    .toSorted((a, b) => a - b);
}

export function segmentPath(directory: string, position: number): string {
  return join(directory, `${String(position).padStart(16, '0')}.log`);
}

/**
 * Makes a segment ready, as a file at `path`, and opens it with these flags. `zeros`: the disk gives its room now. Throws the
 * system's error, with nothing left behind.
 */
export async function prepareSegment(
  path: string,
  { flags, zeros }: { readonly flags: number; readonly zeros: boolean },
): Promise<number> {
  const file = await open(path, 'w', 0o600);
  try {
    const filled = zeros ? SEGMENT_BYTES : 0;
    for (let end = 0; end < filled; end += ZEROS.length) await file.writeFile(ZEROS);
    await file.truncate(SEGMENT_BYTES);
    await file.datasync();
    return openSync(path, flags);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Removes what any writer has made ready, and gives its room back. */
export function dropPrepared(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith(NEXT_PREFIX)) rmSync(join(directory, name), { force: true });
  }
}

/** Who the journal is, and how far it has been read. */
export interface Acked {
  readonly id: string;
  readonly position: number;
}

/** Makes the folder where it is missing; the journal's id is given to it once. */
export function openAcked(directory: string): Acked {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const acked = readAcked(directory);
  if (acked !== undefined) return acked;
  // Without the file, the records themselves know whose they are.
  const made = { id: idOfRecords(directory) ?? randomBytes(8).toString('hex'), position: 0 };
  writeFileSync(join(directory, ACKED_FILE), ackedText(made), { mode: 0o600, flush: true });
  return made;
}

/** Undefined where nothing is noted. Errors: `corrupt` where no counting leads to the position. */
export function readAcked(directory: string): Acked | undefined {
  try {
    const [, id, position] = ACKED.exec(readFileSync(join(directory, ACKED_FILE), 'latin1')) ?? [];
    if (id === undefined) return undefined;
    return { id, position: checkPosition(Number(position), `journal: the file ${ACKED_FILE}`) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const ACKED = /^journal ([0-9a-f]{16}) acked (\d{16})\n/;

/** Always as long, so that it can be written over itself when the disk is full. */
function ackedText({ id, position }: Acked): string {
  return `journal ${id} acked ${String(position).padStart(16, '0')}\n`;
}

export function writeAcked(directory: string, acked: Acked): void {
  const file = openSync(join(directory, ACKED_FILE), constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    writeSync(file, ackedText(acked), 0, 'latin1');
  } finally {
    closeSync(file);
  }
}

/** Whose the records are; undefined where there are none. */
export function idOfRecords(directory: string): string | undefined {
  for (const position of listSegments(directory)) {
    const file = openSync(segmentPath(directory, position), 'r');
    try {
      const head = Buffer.alloc(32);
      readSync(file, head, 0, head.length, 0);
      const id = /^# ([0-9a-f]{16}) /.exec(head.toString('latin1'))?.[1];
      if (id !== undefined) return id;
    } finally {
      closeSync(file);
    }
  }
  return undefined;
}

/**
 * What of an earlier copy of a journal must be put back into it, so that all since then is read again: names of segments that are
 * gone, and last the note of what was acknowledged then. Undefined when the copy is of another journal.
 */
export function segmentsToPutBack(directory: string, copy: string): string[] | undefined {
  const id = readAcked(directory)?.id;
  if (id === undefined || id !== readAcked(copy)?.id) return undefined;
  const present = new Set(listSegments(directory));
  const gone = listSegments(copy).filter((segment) => !present.has(segment));
  return [...gone.map((segment) => basename(segmentPath('', segment))), ACKED_FILE];
}

/** Removes the segments whose records are all acknowledged; the last one stays, it is written to. */
export function removeSegments(directory: string, acked: number): void {
  const segments = listSegments(directory);
  for (const [index, position] of segments.entries()) {
    const next = segments[index + 1];
    if (next === undefined || next > acked) return;
    rmSync(segmentPath(directory, position), { force: true });
  }
}

/** Sets bytes aside that are no record, for whoever wants to look at them. Returns the file's path; nothing on a full disk. */
export function setAside(directory: string, position: number, bytes: Buffer): string | undefined {
  const path = join(directory, `${SET_ASIDE}${position}`);
  try {
    writeFileSync(path, bytes, { mode: 0o600 });
    return path;
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    rmSync(path, { force: true });
    return undefined;
  }
}

/** How files begin that were set aside. */
export const SET_ASIDE = 'incomplete-';
