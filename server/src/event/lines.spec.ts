import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countLines, EventLines, firstLine } from './lines.ts';

const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', ' '));
const lines = fc.array(line, { minLength: 1, maxLength: 20 });

describe('EventLines', () => {
  it('gives back the lines it was made of, whatever the text', () => {
    fc.assert(
      fc.property(lines, (given) => {
        const made = EventLines.of(given);
        expect(made.toArray()).toEqual(given);
        expect(made.count).toBe(given.length);
        expect(made.last()).toBe(given.at(-1));
        expect(made.chunks.map(countLines)).toEqual([given.length]);
        expect(made.chunks.map(firstLine)).toEqual([given[0]]);
      }),
    );
  });

  it('holds the lines of all its chunks, in order', () => {
    const made = new EventLines([Buffer.from('a\nb'), new TextEncoder().encode('ä')], 3);
    expect(made.toArray()).toEqual(['a', 'b', 'ä']);
    expect(made.last()).toBe('ä');
  });

  it('pieces() holds the same lines, at most so many each, however they lie in chunks', () => {
    fc.assert(
      fc.property(fc.array(lines, { maxLength: 5 }), fc.integer({ min: 1, max: 30 }), (given, linesMax) => {
        const all = given.flat();
        const made = new EventLines(
          given.map((some) => Buffer.from(some.join('\n'))),
          all.length,
        );
        const pieces = made.pieces(linesMax);
        expect(pieces.flatMap((piece) => piece.toArray())).toEqual(all);
        const counts = pieces.map(({ count }) => count);
        expect(counts).toEqual(pieces.map((piece) => piece.toArray().length));
        expect(counts.slice(0, -1).every((count) => count === linesMax)).toBe(true);
        expect(counts.at(-1) ?? 1).toBeLessThanOrEqual(linesMax);
      }),
    );
  });

  it('of() nothing is nothing', () => {
    const none = EventLines.of([]);
    expect(none).toMatchObject({ chunks: [], count: 0 });
    expect(none.toArray()).toEqual([]);
    expect(none.last()).toBeUndefined();
  });
});
