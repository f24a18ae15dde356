import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { parse } from 'csv-parse';
import { parseJson } from '../event/strict-json.ts';
import { fromCsvCell } from '../warehouse/csv-cell.ts';
import { fileLines, LINE_BYTES_MAX, utf8Only } from './file-lines.ts';

/** One event of a file. */
export interface FileRecord {
  /** Its line in the file, from 1; in a CSV the line where the record ends. */
  readonly line: number;
  /** As one line of JSON; in an NDJSON file as it stands there. */
  readonly text: string;
  /** Parsed; undefined where the text is no JSON. */
  readonly value: unknown;
  /** Why it cannot be sent at all; its text is empty then. */
  readonly fault?: string;
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

/** Nothing but what JSON calls white space. */
const BLANK = /^[ \t\r]*$/;

async function* ndjsonRecords(stream: Readable): AsyncGenerator<Parsed> {
  let line = 0;
  for await (const read of fileLines(stream as AsyncIterable<Buffer>)) {
    line += 1;
    if ('fault' in read) yield { line, text: '', value: undefined, fault: read.fault };
    else if (!BLANK.test(read.text)) yield { line, ...ndjsonEvent(read.text) };
  }
}

/** The text stays as it is, so that every number and string does; but for fields of null, which other tools write where there is nothing. */
function ndjsonEvent(text: string): Pick<Parsed, 'text' | 'value'> {
  const value = parseOrUndefined(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { text, value };
  const fields = Object.entries(value);
  const present = fields.filter(([, field]) => field !== null);
  if (present.length === fields.length) return { text, value };
  const event = Object.fromEntries(present);
  return { text: JSON.stringify(event), value: event };
}

async function* csvRecords(stream: Readable): AsyncGenerator<Parsed> {
  const bytes = Readable.from(utf8Only(stream as AsyncIterable<Buffer>));
  const parser = bytes.pipe(
    parse({
      columns: checkColumns,
      info: true,
      bom: true,
      skip_empty_lines: true,
      max_record_size: LINE_BYTES_MAX,
    }),
  );
  bytes.once('error', (error) => parser.destroy(error));
  for await (const { record, info } of parser as AsyncIterable<{
    record: Record<string, string>;
    info: { lines: number };
  }>) {
    const value = csvEvent(record);
    yield { line: info.lines, text: JSON.stringify(value), value };
  }
}

/** @throws Error where two columns have one name: only one of them could be stored */
function checkColumns(columns: readonly string[]): string[] {
  const twice = columns.filter((name, index) => columns.indexOf(name) < index);
  if (twice.length > 0) {
    const names = [...new Set(twice)].map((name) => `"${name}"`).join(', ');
    throw new Error(`several columns are named ${names}: each name may stand in the first line once`);
  }
  return [...columns];
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
