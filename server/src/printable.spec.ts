import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableJson, printableLines } from './printable.ts';

/** What no terminal may be sent: ESC and its kin, and what turns text around. */
// oxlint-disable-next-line no-control-regex -- those are what must not be there
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

describe('printable()', () => {
  it('shows what a terminal would obey', () => {
    expect(printable('a\u001b[2Jb\u009b31m\u202ec\r\n\t')).toBe(
      'a\\u001b[2Jb\\u009b31m\\u202ec\\u000d\\u000a\\u0009',
    );
    expect(printable('größe 日本 🎉 "x"')).toBe('größe 日本 🎉 "x"');
  });

  it('lets nothing through, and bounds what is long', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
        expect(printable(text)).not.toMatch(OBEYED);
        expect(printableLines(text).replaceAll('\n', '')).not.toMatch(OBEYED);
      }),
    );
    expect(printable('x'.repeat(10_000))).toHaveLength(501);
  });

  it('says the same as JSON', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printableJson({ [text]: [text] });
        expect(json).not.toMatch(OBEYED);
        expect(JSON.parse(json)).toEqual({ [text]: [text] });
      }),
    );
  });
});
