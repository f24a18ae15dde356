import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileLines, LINE_BYTES_MAX, utf8Only, type FileLine } from './file-lines.ts';

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

const read = (bytes: Buffer, size = bytes.length): Promise<FileLine[]> => all(fileLines(cut(bytes, size)));

/** Every code point but the surrogates and \n, a hundred a line. */
function everyCodePoint(): string[] {
  const lines: string[] = [];
  let line = '';
  let count = 0;
  for (let point = 0; point <= 0x10ffff; point += 1) {
    if (point === 0x0a || (point >= 0xd800 && point <= 0xdfff)) continue;
    line += String.fromCodePoint(point);
    if ((count += 1) % 100 > 0) continue;
    lines.push(line);
    line = '';
  }
  return [...lines, line];
}

describe('fileLines()', () => {
  it.each([1, 2, 3, 7, 65_536, 5_000_000])(
    'regression: splits at \\n alone, over all of Unicode, in chunks of %i bytes',
    async (size) => {
      const lines = everyCodePoint();
      const read_ = await read(Buffer.from(lines.join('\n')), size);
      expect(read_).toHaveLength(lines.length);
      const wrong = lines.filter((text, index) => {
        const line = read_[index]!;
        return !('text' in line) || line.text !== text;
      });
      expect(wrong).toEqual([]);
    },
  );

  it('gives back what was joined, wherever it is cut', async () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', ''));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 9 }), async (lines, size) => {
        fc.pre(lines[0]?.startsWith('\ufeff') !== true);
        const read_ = await read(Buffer.from(lines.map((text) => `${text}\n`).join('')), size);
        expect(read_).toEqual(lines.map((text) => ({ text })));
      }),
    );
  });

  it('drops a byte order mark before the first line alone', async () => {
    expect(await read(Buffer.from('\ufeffa\n\ufeffb'), 2)).toEqual([{ text: 'a' }, { text: '\ufeffb' }]);
  });

  it('goes on after a line that is not UTF-8, and after one that is too long', async () => {
    const bytes = Buffer.concat([
      Buffer.from('a\n'),
      Buffer.from([0xe9, 0x0a]),
      Buffer.alloc(LINE_BYTES_MAX, 'x'),
      Buffer.from('\n'),
      Buffer.alloc(LINE_BYTES_MAX + 1, 'x'),
      Buffer.from('\nb'),
    ]);
    const [first, second, third, fourth, fifth] = await read(bytes, 65_536);
    expect([first, fifth]).toEqual([{ text: 'a' }, { text: 'b' }]);
    expect(second).toEqual({ fault: 'the line is not UTF-8' });
    expect(third).toHaveProperty('text');
    expect(fourth).toEqual({ fault: expect.stringContaining(`${LINE_BYTES_MAX + 1} bytes`) });
  });
});

describe('utf8Only()', () => {
  it('passes on what is UTF-8, wherever it is cut, and refuses the rest', async () => {
    const text = Buffer.from('größe 🎉\n'.repeat(10));
    for (const size of [1, 2, 3, 100])
      expect(Buffer.concat(await all(utf8Only(cut(text, size)))).equals(text)).toBe(true);
    const cutOff = text.subarray(0, -2);
    for (const bytes of [Buffer.from([0x61, 0xe9]), Buffer.from([0xe9, 0x61]), cutOff])
      await expect(all(utf8Only(cut(bytes, 1)))).rejects.toThrow('not UTF-8');
  });
});
