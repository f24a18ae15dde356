import { createHash } from 'node:crypto';
import type { Config } from '../config.ts';
import { ControlClient } from '../control/client.ts';
import { createApp } from '../app.ts';
import { createLogger } from '../telemetry/log.ts';
import { fileSize, readRecords, STDIN, type FileRecord } from './import-file.ts';
import { ImportProgress, NO_NOTES, recordsDigest, type ImportNotes } from './import-progress.ts';
import { printable } from '../printable.ts';
import { Progress } from './progress.ts';
import { reach } from './reach.ts';
import { sendBatch, type SendResult, type Target } from './send.ts';

const BATCH_EVENTS = 1_000;
/** Bytes of one batch, well under what the route takes. */
const BATCH_BYTES = 4 * 1_024 * 1_024;
/** Rejected lines that are shown; further ones are counted. */
const SHOWN_MAX = 20;

export interface ImportOptions {
  readonly url?: string;
  readonly key?: string;
  readonly fromStart?: boolean;
}

/** Sends files of events to a server: the given one, the one that runs, or one started for it. 1 when events were rejected. */
export async function importFiles(
  config: Config,
  files: readonly string[],
  options: ImportOptions,
): Promise<number> {
  const key = options.key ?? config.writeKeys[0];
  const server = config.journal ? await new ControlClient(config.dataDirectory).status() : undefined;
  const running = options.url ?? server?.url;
  if (running !== undefined) return importTo({ url: running, key }, config, files, options);
  const app = await createApp({ ...config, host: '127.0.0.1', port: 0 }, createLogger('error'));
  try {
    return await importTo({ url: await app.listen(), key }, config, files, options);
  } finally {
    await app.close();
  }
}

async function importTo(
  target: Target,
  config: Config,
  files: readonly string[],
  options: ImportOptions,
): Promise<number> {
  let rejected = 0;
  for (const file of files) {
    const result = await importFile(target, config, file, options).catch((error: unknown) => {
      throw naming(file, error);
    });
    rejected += result.rejected;
    process.stdout.write(
      `${shownName(file)}: ${result.accepted} accepted, ${result.rejected} rejected, ${result.skipped} imported before\n`,
    );
  }
  if (options.url === undefined) await reach(config, (data) => data.drain());
  return rejected === 0 ? 0 : 1;
}

function importFile(
  target: Target,
  config: Config,
  file: string,
  options: ImportOptions,
): Promise<FileResult> {
  const notes = file === STDIN ? NO_NOTES : new ImportProgress(config.dataDirectory, file, target.url);
  if (options.fromStart === true) notes.forget();
  return new FileImport(target, file, notes).run();
}

/** An error as one of a file. */
function naming(file: string, error: unknown): Error {
  const { message } = error as Error;
  return new Error(message.includes(file) && file !== STDIN ? message : `${shownName(file)}: ${message}`, {
    cause: error,
  });
}

function shownName(file: string): string {
  return file === STDIN ? 'standard input' : printable(file, Infinity);
}

interface FileResult {
  readonly accepted: number;
  readonly rejected: number;
  readonly skipped: number;
}

/** One file on its way. */
class FileImport {
  readonly #target: Target;
  readonly #file: string;
  readonly #done: ImportNotes;
  #batch: FileRecord[] = [];
  #lines: string[] = [];
  #bytes = 0;
  #accepted = 0;
  readonly #digest = recordsDigest();
  #rejected = 0;

  constructor(target: Target, file: string, done: ImportNotes) {
    this.#target = target;
    this.#file = file;
    this.#done = done;
  }

  async run(): Promise<FileResult> {
    const progress = new Progress(shownName(this.#file), fileSize(this.#file));
    const skip = await this.#done.records(readRecords(this.#file));
    let count = 0;
    for await (const record of readRecords(this.#file)) {
      count += 1;
      const line = count > skip && record.fault === undefined ? withEventId(record) : '';
      const bytes = Buffer.byteLength(line) + 1;
      if (this.#bytes + bytes > BATCH_BYTES) await this.#flush(count - 1);
      this.#digest.add(record.identity);
      if (count <= skip) continue;
      if (record.fault !== undefined) this.#reject(record.line, record.fault);
      else this.#add(record, { line, bytes });
      if (this.#lines.length >= BATCH_EVENTS) await this.#flush(count);
      progress.update(record.bytesRead, `${this.#accepted} events`);
    }
    await this.#flush(count);
    progress.end();
    return { accepted: this.#accepted, rejected: this.#rejected, skipped: Math.min(skip, count) };
  }

  #add(record: FileRecord, { line, bytes }: { readonly line: string; readonly bytes: number }): void {
    this.#batch.push(record);
    this.#lines.push(line);
    this.#bytes += bytes;
  }

  /** Sends what is gathered, then notes how far the file is done. */
  async #flush(count: number): Promise<void> {
    if (this.#lines.length === 0) return;
    const result = await sendBatch(this.#target, this.#lines);
    this.#accepted += result.accepted;
    this.#report(result);
    // A rejected line is looked at again the next time, when it may be repaired; what is in by then counts once.
    if (this.#rejected === 0) this.#done.save({ records: count, digest: this.#digest.value() });
    this.#batch = [];
    this.#lines = [];
    this.#bytes = 0;
  }

  #report(result: SendResult): void {
    for (const { index, errors } of result.rejected) {
      const reasons = errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`.trim()).join('; ');
      this.#reject(this.#batch[index]?.line, reasons);
    }
    this.#rejected += result.rejected_total - result.rejected.length;
  }

  #reject(line: number | undefined, reason: string): void {
    this.#rejected += 1;
    if (this.#rejected > SHOWN_MAX) return;
    process.stderr.write(`${shownName(this.#file)}:${line ?? '?'}: ${printable(reason)}\n`);
  }
}

/**
 * A record's line. An event without an id gets one made of its place and value, so that the same file gives the same
 * ids each time and a file that grew repeats those it had. All else of the text stays as it is.
 */
function withEventId({ text, identity, place, value }: FileRecord): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || 'event_id' in value) return text;
  const digest = createHash('sha256').update(`${place}:${identity}`).digest('hex');
  const fields = text.slice(0, text.lastIndexOf('}'));
  const comma = Object.keys(value).length === 0 ? '' : ',';
  return `${fields}${comma}"event_id":"import-${digest.slice(0, 32)}"}`;
}
