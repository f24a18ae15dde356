import type { EventLine } from './line.ts';

const NEWLINE = 10;

/**
 * Event lines as bytes, in the chunks in which a transport keeps them. A loader moves hundreds of thousands of events
 * a second; as bytes they pass from the store to the warehouse without a string being made of any.
 *
 * A chunk is one line or several joined by \n, in UTF-8, without a \n at its end; it never splits a line. Chunks
 * are not written to after they were handed in.
 */
export class EventLines {
  readonly chunks: readonly Uint8Array[];
  /** Lines in all chunks. */
  readonly count: number;

  /** `count` is the sum of `countLines` of the chunks. */
  constructor(chunks: readonly Uint8Array[], count: number) {
    this.chunks = chunks;
    this.count = count;
  }

  static of(lines: readonly EventLine[]): EventLines {
    return new EventLines(lines.length === 0 ? [] : [Buffer.from(lines.join('\n'))], lines.length);
  }

  toArray(): EventLine[] {
    return this.chunks.flatMap((chunk) => text(chunk).split('\n'));
  }

  /** The same lines in order, in pieces of at most `linesMax` each; no byte is copied. */
  pieces(linesMax: number): EventLines[] {
    const pieces: EventLines[] = [];
    let chunks: Uint8Array[] = [];
    let count = 0;
    const end = () => {
      if (count > 0) pieces.push(new EventLines(chunks, count));
      chunks = [];
      count = 0;
    };
    for (const chunk of this.chunks) {
      let from = 0;
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) {
        if ((count += 1) < linesMax) continue;
        chunks.push(chunk.subarray(from, at));
        from = at + 1;
        end();
      }
      chunks.push(chunk.subarray(from));
      if ((count += 1) === linesMax) end();
    }
    end();
    return pieces;
  }

  last(): EventLine | undefined {
    const chunk = this.chunks.at(-1);
    return chunk === undefined ? undefined : text(chunk.subarray(chunk.lastIndexOf(NEWLINE) + 1));
  }
}

/** The number of lines in a chunk. */
export function countLines(chunk: Uint8Array): number {
  let lines = 1;
  for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}

/** The first line of a chunk. */
export function firstLine(chunk: Uint8Array): EventLine {
  const end = chunk.indexOf(NEWLINE);
  return text(end === -1 ? chunk : chunk.subarray(0, end));
}

function text(chunk: Uint8Array): string {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('utf8');
}
