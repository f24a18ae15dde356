import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFaultAt } from './json-fault.ts';
import { parseJson } from './parse.ts';

function faultOf(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const detailOf = (text: string) => {
  try {
    return void parseJson(text);
  } catch (error) {
    return (error as Error).message;
  }
};

describe('jsonFaultAt()', () => {
  it('finds the first character that cannot stand there, whatever the text', () => {
    const broken = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom('}', ']', ',', ':', 'x', '"', '{', '\u0001', '-', '€', '\\€', '\\u12€4'),
      )
      .map(([json, place, char]) => {
        const at = place % (json.length + 1);
        return `${json.slice(0, at)}${char}${json.slice(at)}`;
      })
      .filter((text) => faultOf(text)?.startsWith('Unexpected token') === true);
    let found = 0;
    fc.assert(
      fc.property(broken, (text) => {
        const at = jsonFaultAt(text);
        found += 1;
        expect(at).toBeLessThan(text.length);
        // What stands before it is the beginning of a JSON text, with it it is none.
        expect(faultOf(text.slice(0, at)) ?? 'a whole text').toMatch(
          /^(Unexpected end|Expected|a whole text)/,
        );
        expect(faultOf(text.slice(0, at + 1))).toBeDefined();
      }),
    );
    expect(found).toBeGreaterThan(50);
  });
});

describe('parseJson()', () => {
  it.each([
    ['{"a":}', 5],
    ['[1, x]', 4],
    ['{"a":[true,]}', 11],
    ['[nulx]', 1],
    ['"a\\€"', 3],
    ['\u0001', 0],
    ['{"a":1', 6],
    ['[1,2', 4],
    ['nul', 3],
    ['{"a":1,}', 7],
    ['{}x', 2],
    [' ', 1],
    ['{"type":"event","event_name":"page_view","user_id":user-1}', 51],
  ])('regression: says where %j stops being JSON', (text, at) => {
    expect(detailOf(text)).toMatch(new RegExp(`^not valid JSON at position ${at}\\b`));
  });

  it('says where a long text stops', () => {
    const item = '{"a":"b\\"}"},';
    expect(detailOf(`[${item.repeat(10_000)}?]`)).toBe(
      `not valid JSON at position ${1 + item.length * 10_000}`,
    );
  });

  it('regression: says of an empty body that it is empty', () => {
    expect(detailOf('')).toBe('the body is empty');
  });
});
