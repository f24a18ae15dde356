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

  it('of() nothing is nothing', () => {
    const none = EventLines.of([]);
    expect(none).toMatchObject({ chunks: [], count: 0 });
    expect(none.toArray()).toEqual([]);
    expect(none.last()).toBeUndefined();
  });
});
