import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Note {
  readonly records: number;
  /** The file's size when this was written; a file that shrank is another one. */
  readonly size: number;
}

/** How far a file was sent to a server, kept in the data directory, so that an import can go on where it stopped. */
export class ImportProgress {
  readonly #file: string;
  readonly #path: string;

  constructor(dataDirectory: string, file: string, url: string) {
    this.#file = realpathSync(file);
    // A server on this data directory may have another port each time.
    const server = new URL(url).hostname === '127.0.0.1' ? 'local' : url;
    const name = createHash('sha256').update(`${server}\n${this.#file}`).digest('hex');
    this.#path = join(dataDirectory, 'imports', `${name}.json`);
  }

  /** Records that were acknowledged; 0 when the file is new or became smaller. */
  records(): number {
    try {
      const { records, size } = JSON.parse(readFileSync(this.#path, 'utf8')) as Note;
      return statSync(this.#file).size >= size ? records : 0;
    } catch {
      return 0;
    }
  }

  save(records: number): void {
    mkdirSync(join(this.#path, '..'), { recursive: true });
    const note: Note = { records, size: statSync(this.#file).size };
    writeFileSync(this.#path, JSON.stringify(note));
  }

  forget(): void {
    rmSync(this.#path, { force: true });
  }
}
