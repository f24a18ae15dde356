import {
  chmodSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../config.ts';
import type { ExportSlice } from '../warehouse/contract.ts';
import { EXPORTS_DIRECTORY } from '../warehouse/duckdb/confine.ts';
import { EXPORT_COLUMNS } from '../warehouse/duckdb/export.ts';
import { supportsOf } from '../drivers.ts';
import { reach, type Reach } from './reach.ts';
import { UsageError } from './usage-error.ts';

export interface ExportOptions {
  readonly format: ExportSlice['format'];
  readonly from?: string;
  readonly to?: string;
  readonly output?: string;
  /** The mask that a new output file gets its mode from, whichever process writes it. */
  readonly umask: number;
}

/**
 * Writes events to a file or to standard output. From DuckDB, NDJSON and CSV go out day by day, so that neither memory
 * nor temporary files grow with the range; BigQuery bills a scan for each query, so there it is one. The output of both can be imported again, ids included.
 */
export async function exportEvents(config: Config, options: ExportOptions): Promise<number> {
  checkOptions(options);
  const { output } = options;
  const mode = output === undefined ? undefined : modeOf(output, options.umask);
  await reach(config, async (data) => {
    await data.drain();
    await exportSlices(config, data, options);
  });
  if (mode !== undefined) chmodSync(output!, mode);
  return 0;
}

/** The mode that the output shall have: its own where it is there, else that of a new file; none where it is no file. */
function modeOf(output: string, umask: number): number | undefined {
  const present = statSync(output, { throwIfNoEntry: false });
  if (present === undefined) return 0o666 & ~umask;
  return present.isFile() ? present.mode & 0o777 : undefined;
}

/** @throws UsageError */
function checkOptions({ from, to, format, output }: ExportOptions): void {
  for (const [option, day] of Object.entries({ from, to })) {
    if (day !== undefined && !isDay(day))
      throw new UsageError(`--${option} ${day}: must be a day, YYYY-MM-DD`);
  }
  if (from !== undefined && to !== undefined && from > to)
    throw new UsageError(`--from ${from} is after --to ${to}`);
  if (format === 'parquet' && output === undefined) throw new UsageError('parquet needs --output FILE');
}

function isDay(text: string): boolean {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(text) : new Date(Number.NaN);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

function range({ from, to }: ExportOptions): Range {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

async function exportSlices(config: Config, data: Reach, options: ExportOptions): Promise<void> {
  const directory = sliceDirectory(config);
  const byDay = supportsOf(config).exportByDay && options.format !== 'parquet';
  const parts = byDay ? await daysWithEvents(data, options) : [range(options)];
  const toFile = options.output !== undefined;
  const target: Writable = toFile ? createWriteStream(options.output) : process.stdout;
  try {
    await pipeline(slices(data, options.format, parts, directory), target, { end: toFile });
  } catch (error) {
    // Who reads has read enough, as `head` does.
    if (toFile || (error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** DuckDB writes nowhere else in the data directory, nor outside of it. */
function sliceDirectory({ journal, dataDirectory }: Config): string {
  const parent = journal ? join(dataDirectory, EXPORTS_DIRECTORY) : tmpdir();
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'export-'));
}

type Range = Pick<ExportSlice, 'from' | 'to'>;

/** The export's bytes: one slice at a time is written to a file, read and removed. */
async function* slices(
  data: Reach,
  format: ExportSlice['format'],
  parts: readonly Range[],
  directory: string,
): AsyncGenerator<Buffer> {
  const header = format === 'csv' ? `${EXPORT_COLUMNS.join(',')}\n` : '';
  if (parts.length === 0) yield Buffer.from(header);
  for (const [index, part] of parts.entries()) {
    const path = join(directory, 'slice');
    await data.exportTo({ format, ...part, path });
    // Only now, so that a format which the warehouse does not write leaves nothing behind.
    if (index === 0) yield Buffer.from(header);
    for await (const chunk of createReadStream(path)) yield chunk as Buffer;
    rmSync(path);
  }
}

/** The days of the range that have an event, oldest first: from the rollup, so it costs next to nothing. */
async function daysWithEvents(data: Reach, { from, to }: ExportOptions): Promise<readonly Range[]> {
  const rows = await data.query({
    sql: `SELECT DISTINCT CAST(day AS VARCHAR) AS day FROM daily
      WHERE day BETWEEN CAST($from AS DATE) AND CAST($to AS DATE) ORDER BY day`,
    params: { from: from ?? '0001-01-01', to: to ?? '9999-12-31' },
  });
  return rows.map((row) => ({ from: String(row['day']), to: String(row['day']) }));
}
