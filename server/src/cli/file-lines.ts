import { isUtf8 } from 'node:buffer';

/** A line of a file, without its \n: its text, or why it is not taken. */
export type FileLine = { readonly text: string } | { readonly fault: string };

/** The longest line that is read; an event is much shorter. */
export const LINE_BYTES_MAX = 4 * 1_024 * 1_024;

const NEWLINE = 0x0a;
const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Splits bytes into lines at \n alone: JSON may hold U+2028, U+2029 and the like as they are, and they end no line. A
 * line is decoded when it is whole, wherever the chunks were cut; a \r before the \n is white space to whoever parses
 * it. Memory is bound by the longest line that is taken. A byte order mark before the first line is dropped.
 */
export async function* fileLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<FileLine> {
  let parts: Buffer[] = [];
  let bytes = 0;
  let first = true;
  const add = (part: Buffer) => {
    bytes += part.length;
    if (bytes <= LINE_BYTES_MAX) parts.push(part);
    else parts = [];
  };
  const end = (): FileLine => {
    const line = lineOf(parts, bytes, first);
    parts = [];
    bytes = 0;
    first = false;
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at));
      from = at + 1;
      yield end();
    }
    add(chunk.subarray(from));
  }
  if (bytes > 0) yield end();
}

function lineOf(parts: readonly Buffer[], bytes: number, first: boolean): FileLine {
  if (bytes > LINE_BYTES_MAX) {
    return { fault: `the line has ${bytes} bytes, and may have at most ${LINE_BYTES_MAX}` };
  }
  const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes);
  const line = first && all.subarray(0, MARK.length).equals(MARK) ? all.subarray(MARK.length) : all;
  if (!isUtf8(line)) return { fault: 'the line is not UTF-8' };
  return { text: line.toString('utf8') };
}

/** Passes bytes on as they are. @throws Error at the first that are not UTF-8, which would be stored as other text */
export async function* utf8Only(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const check = (chunk?: Buffer) => {
    try {
      decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (error) {
      throw new Error('the file is not UTF-8: convert it first, for example with iconv', { cause: error });
    }
  };
  for await (const chunk of chunks) {
    check(chunk);
    yield chunk;
  }
  check();
}
