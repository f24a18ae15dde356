import { createReadStream, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { parse } from 'csv-parse';
import { parseJson } from '../event/strict-json.ts';
import { fromCsvCell } from '../warehouse/csv-cell.ts';

/** One event of a file. */
export interface FileRecord {
  /** Its line in the file, from 1; in a CSV the line where the record ends. */
  readonly line: number;
  /** As one line of JSON; in an NDJSON file as it stands there. */
  readonly text: string;
  /** Parsed; undefined where the text is no JSON. */
  readonly value: unknown;
  /** Bytes of the file read so far. */
  readonly bytesRead: number;
}

const COMPRESSIONS = { gz: createGunzip, br: createBrotliDecompress, zst: createZstdDecompress } as const;

/** In place of a file: NDJSON from standard input. */
export const STDIN = '-';

/** 0 where it is not known. */
export function fileSize(file: string): number {
  return file === STDIN ? 0 : statSync(file).size;
}

/** Reads a file record by record; its name says the format. @throws Error when it says none */
export async function* readRecords(file: string): AsyncGenerator<FileRecord> {
  if (file === STDIN) {
    for await (const record of ndjsonRecords(process.stdin)) yield { ...record, bytesRead: 0 };
    return;
  }
  const [, format, compression] = /\.(ndjson|jsonl|csv)(?:\.(gz|br|zst))?$/.exec(file) ?? [];
  if (format === undefined) {
    throw new Error(`name it .ndjson, .jsonl or .csv, and .gz, .br or .zst behind it when it is compressed`);
  }
  const raw = createReadStream(file);
  const stream =
    compression === undefined ? raw : raw.pipe(COMPRESSIONS[compression as keyof typeof COMPRESSIONS]());
  raw.once('error', (error) => stream.destroy(error));
  const records = format === 'csv' ? csvRecords(stream) : ndjsonRecords(stream);
  for await (const record of records) yield { ...record, bytesRead: raw.bytesRead };
}

type Parsed = Omit<FileRecord, 'bytesRead'>;

async function* ndjsonRecords(stream: Readable): AsyncGenerator<Parsed> {
  let line = 0;
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
    line += 1;
    if (text.trim() === '') continue;
    const value = withoutNulls(parseOrUndefined(text));
    yield { line, text: value === undefined ? text : JSON.stringify(value), value };
  }
}

async function* csvRecords(stream: Readable): AsyncGenerator<Parsed> {
  const parser = stream.pipe(parse({ columns: true, info: true, bom: true, skip_empty_lines: true }));
  stream.once('error', (error) => parser.destroy(error));
  for await (const { record, info } of parser as AsyncIterable<{
    record: Record<string, string>;
    info: { lines: number };
  }>) {
    const value = csvEvent(record);
    yield { line: info.lines, text: JSON.stringify(value), value };
  }
}

/** A CSV record as an event: empty cells are absent, times are numbers, properties are JSON, a type is not needed. */
function csvEvent(record: Readonly<Record<string, string>>): object {
  const cells = Object.entries(record)
    .map(([name, cell]) => [name, fromCsvCell(cell)] as const)
    .filter(([, cell]) => cell !== '');
  const event = Object.fromEntries(
    cells.map(([name, cell]): [string, unknown] => {
      if (name === 'event_time') return [name, Number.isNaN(Number(cell)) ? cell : Number(cell)];
      if (name === 'properties') return [name, parseOrUndefined(cell) ?? cell];
      return [name, cell];
    }),
  );
  return { type: 'event', ...event };
}

function parseOrUndefined(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** Drops the event's fields that are null: exports of other tools write absent values so. */
function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}
