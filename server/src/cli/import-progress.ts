import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../event/strict-json.ts';

/** Where notes lie in the data directory. */
export const IMPORTS_DIRECTORY = 'imports';

interface Note {
  readonly records: number;
  /** `recordsDigest` of these records; a file that begins otherwise is another one. */
  readonly digest: string;
}

/** A running digest of records in their order. */
export function recordsDigest(): { add(text: string): void; value(): string } {
  const hash = createHash('sha256');
  return {
    add: (text) => void hash.update(text).update('\n'),
    value: () => hash.copy().digest('hex'),
  };
}

/** What keeps how far a file was sent. */
export type ImportNotes = Pick<ImportProgress, 'records' | 'save' | 'forget'>;

/** For what cannot be read twice. */
export const NO_NOTES: ImportNotes = {
  records: () => Promise.resolve(0),
  save: () => undefined,
  forget: () => undefined,
};

/** How far a file was sent to a server, kept in the data directory, so that an import can go on where it stopped. */
export class ImportProgress {
  readonly #file: string;
  readonly #path: string;

  constructor(dataDirectory: string, file: string, url: string) {
    this.#file = realpathSync(file);
    // A server on this data directory may have another port each time.
    const server = new URL(url).hostname === '127.0.0.1' ? 'local' : url;
    const name = createHash('sha256').update(`${server}\n${this.#file}`).digest('hex');
    this.#path = join(dataDirectory, IMPORTS_DIRECTORY, `${name}.json`);
  }

  /** Records at the beginning of the file that were taken in; 0 when the file is new or begins otherwise than it did. */
  async records(read: AsyncIterable<{ readonly identity: string }>): Promise<number> {
    const note = this.#note();
    if (note === undefined) return 0;
    const digest = recordsDigest();
    let count = 0;
    for await (const { identity } of read) {
      digest.add(identity);
      count += 1;
      if (count >= note.records) break;
    }
    return count === note.records && digest.value() === note.digest ? count : 0;
  }

  #note(): Note | undefined {
    try {
      return parseJson(readFileSync(this.#path, 'utf8')) as Note;
    } catch {
      return undefined;
    }
  }

  save(note: Note): void {
    mkdirSync(join(this.#path, '..'), { recursive: true });
    writeFileSync(this.#path, JSON.stringify(note));
  }

  forget(): void {
    rmSync(this.#path, { force: true });
  }
}
