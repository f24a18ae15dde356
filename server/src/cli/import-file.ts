import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { parse } from 'csv-parse';
import { parseJson } from '../event/strict-json.ts';
import { fromCsvCell } from '../warehouse/csv-cell.ts';
import { fileLines, LINE_BYTES_MAX, utf8Only } from './file-lines.ts';
import { withoutFields } from './json-fields.ts';

/** One event of a file. */
export interface FileRecord {
  /** Its line in the file, from 1; in a CSV the line where the record ends. */
  readonly line: number;
  /** As one line of JSON; in an NDJSON file as it stands there, but for fields of null. */
  readonly text: string;
  /**
   * What ids and notes are made of: the event as `JSON.stringify` writes it, and its number in the file. They must stay as
   * earlier versions of Daybook made them, or a file that was imported by one would be counted twice.
   */
  readonly identity: string;
  readonly place: number;
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
  let place = 0;
  for await (const read of fileLines(stream as AsyncIterable<Buffer>)) {
    line += 1;
    if ('fault' in read) {
      place += 1;
      yield { line, place, text: '', identity: '', value: undefined, fault: read.fault };
    } else if (!BLANK.test(read.text)) {
      place += placesOf(read.text);
      yield { line, place, ...ndjsonEvent(read.text) };
    }
  }
}

/** What earlier versions ended a line at. */
const OLD_LINE_END = /\r(?!\n)|\u2028|\u2029/;

/** How many records earlier versions took a line for. */
function placesOf(text: string): number {
  return text.split(OLD_LINE_END).filter((part) => part.trim() !== '').length;
}

/** The text stays as it is, so that every number and string does; but for fields of null, which other tools write where there is nothing. */
function ndjsonEvent(text: string): Pick<Parsed, 'text' | 'identity' | 'value'> {
  const value = parseOrUndefined(text);
  if (value === undefined) return { text, identity: text, value };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { text, identity: JSON.stringify(value), value };
  const fields = Object.entries(value);
  const nulls = fields.filter(([, field]) => field === null).map(([name]) => name);
  if (nulls.length === 0) return { text, identity: JSON.stringify(value), value };
  const event = Object.fromEntries(fields.filter(([, field]) => field !== null));
  return { text: withoutFields(text, new Set(nulls)), identity: JSON.stringify(event), value: event };
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
      cast: (cell, { header, quoting }) => (header || quoting || cell !== '' ? cell : undefined),
    }),
  );
  bytes.once('error', (error) => parser.destroy(error));
  let place = 0;
  for await (const { record, info } of parser as AsyncIterable<{
    record: CsvRecord;
    info: { lines: number };
  }>) {
    place += 1;
    yield { line: info.lines, place, ...csvEvent(record) };
  }
}

/** Column → cell; undefined where it is empty. An empty text stands in quotes. */
type CsvRecord = Readonly<Record<string, string | undefined>>;

/** The fields of an event whose text may be empty; elsewhere quotes around nothing are an empty cell. */
const MAY_BE_EMPTY: readonly string[] = ['page', 'country', 'region', 'city'];

/** @throws Error where two columns have one name: only one of them could be stored */
function checkColumns(columns: readonly string[]): string[] {
  const twice = columns.filter((name, index) => columns.indexOf(name) < index);
  if (twice.length > 0) {
    const names = [...new Set(twice)].map((name) => `"${name}"`).join(', ');
    throw new Error(`several columns are named ${names}: each name may stand in the first line once`);
  }
  return [...columns];
}

/**
 * A CSV record as an event: empty cells are absent, times are numbers, properties are JSON and stay as they are, a type is not
 * needed.
 */
function csvEvent(record: CsvRecord): Pick<Parsed, 'text' | 'identity' | 'value'> {
  const fields = Object.entries(record).flatMap(([name, cell]): [string, unknown][] => {
    if (cell === undefined || (cell === '' && !MAY_BE_EMPTY.includes(name))) return [];
    return [[name, csvValue(name, fromCsvCell(cell))]];
  });
  const value: { readonly type: string; readonly properties?: unknown } = {
    type: 'event',
    ...Object.fromEntries(fields),
  };
  // Earlier versions left empty texts out.
  const filled = Object.fromEntries(fields.filter(([, field]) => field !== ''));
  const identity = JSON.stringify({ type: 'event', ...filled });
  const { properties: parsed, ...others } = value;
  if (typeof parsed !== 'object') return { text: JSON.stringify(value), identity, value };
  // In JSON a line break can only be white space.
  const properties = fromCsvCell(record['properties']!).replaceAll(/[\r\n]/g, ' ');
  return { text: `${JSON.stringify(others).slice(0, -1)},"properties":${properties}}`, identity, value };
}

function csvValue(name: string, cell: string): unknown {
  if (name === 'event_time') return Number.isFinite(Number(cell)) ? Number(cell) : cell;
  return name === 'properties' ? (parseOrUndefined(cell) ?? cell) : cell;
}

function parseOrUndefined(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
