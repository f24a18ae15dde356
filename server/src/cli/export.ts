import { randomUUID } from 'node:crypto';
import { chmodSync, createWriteStream, rmSync, statSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../config.ts';
import type { ExportRange, ExportSlice } from '../warehouse/contract.ts';
import { EXPORT_COLUMNS, sliceStarts } from '../warehouse/duckdb/export.ts';
import { exportPath } from '../warehouse/duckdb/exports-directory.ts';
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
 * Writes events to a file or to standard output, in order of event_time and event_id. From DuckDB, NDJSON and CSV go out in
 * slices, so that neither memory nor temporary files grow with the range, and a slow reader holds nothing of the server's;
 * BigQuery bills a scan for each query, so there it is one, in any order. The output of both can be imported again, ids included.
 */
export async function exportEvents(config: Config, options: ExportOptions): Promise<number> {
  checkOptions(options);
  const { format, output } = options;
  const mode = output === undefined ? undefined : modeOf(output, options.umask);
  await reach(config, async (data) => {
    await data.drain();
    if (output !== undefined && !supportsOf(config).exportInSlices)
      await data.exportTo({ ...range(options), format, path: resolve(output) });
    else await exportSlices(config, data, options);
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

function range({ from, to }: ExportOptions): ExportRange {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

async function exportSlices(config: Config, data: Reach, options: ExportOptions): Promise<void> {
  const parts = await planSlices(config, data, options);
  const toFile = options.output !== undefined;
  const target: Writable = toFile ? createWriteStream(options.output) : process.stdout;
  try {
    await pipeline(slices(config, data, parts), target, { end: toFile });
  } catch (error) {
    // Who reads has read enough, as `head` does.
    if (toFile || (error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

type Part = Omit<ExportSlice, 'path'>;

/** The parts of an export, oldest first; the first and the last have no bound of their own, so none is empty for want of events. */
async function planSlices(config: Config, data: Reach, options: ExportOptions): Promise<readonly Part[]> {
  const part = { ...range(options), format: options.format };
  // A Parquet file ends with its index, so it is one.
  if (options.format === 'parquet' || !supportsOf(config).exportInSlices) return [part];
  const rows = await data.query(sliceStarts(range(options), config.timezone));
  const cuts = rows.slice(1).map((row) => Number(row['since_us']));
  return [undefined, ...cuts].map((sinceUs, index): Part => {
    const beforeUs = cuts[index];
    return {
      ...part,
      ...(sinceUs === undefined ? {} : { sinceUs }),
      ...(beforeUs === undefined ? {} : { beforeUs }),
    };
  });
}

/** The export's bytes: one slice at a time is written to a file and read. */
async function* slices(config: Config, data: Reach, parts: readonly Part[]): AsyncGenerator<Buffer> {
  for (const [index, part] of parts.entries()) {
    const name = `daybook-export-${randomUUID()}`;
    const path =
      config.warehouse === 'duckdb' ? exportPath(config.dataDirectory, name) : join(tmpdir(), name);
    const file = await writeSlice(data, { ...part, path });
    // Only now, so that a format which the warehouse does not write leaves nothing behind.
    if (index === 0 && part.format === 'csv') yield Buffer.from(`${EXPORT_COLUMNS.join(',')}\n`);
    yield* file.createReadStream() as AsyncIterable<Buffer>;
  }
}

/** The slice, open to be read. It has no name any more: when this process ends, however it does, its bytes are freed. */
async function writeSlice(data: Reach, slice: ExportSlice): Promise<FileHandle> {
  try {
    await data.exportTo(slice);
    return await open(slice.path);
  } finally {
    rmSync(slice.path, { force: true });
  }
}
