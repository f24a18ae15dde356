import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonSyntaxError, parseJson, parseJsonString, readStrictly } from './strict-json.ts';

/** A value, or the message of what was thrown. */
function outcome(read: (text: string) => unknown, text: string): { readonly value?: unknown } {
  try {
    return { value: read(text) };
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return {};
  }
}

/** The place of the fault. */
function faultAt(text: string): number | undefined {
  try {
    return void parseJson(text);
  } catch (error) {
    return (error as JsonSyntaxError).at;
  }
}

const unit = fc.constantFrom('a', '\\', 'n', 'u', '0', '"', '\n', '\u0000', 'é', '\u2028', '😀', '\ud800');
/** Few different keys and short ones: what was read before is met again, in the same place. */
const key = fc.oneof(
  fc.string({ unit, maxLength: 3 }),
  fc.constantFrom('k', '7', '__proto__', 'constructor'),
);
const text = fc.string({ unit, maxLength: 4 });
const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
const { value } = fc.letrec<{ value: unknown; object: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    number,
    fc.constantFrom(true, false, null, -0, 1e300),
    tie('object'),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
  object: fc
    .array(fc.tuple(key, tie('value')), { maxLength: 4 })
    .map((members) => Object.fromEntries(members)),
}));

/** Writes a value with each character as it stands, or as one of the escapes that it may have. */
function write(of: unknown, draw: () => number): string {
  const blank = () => ['', '', '', ' ', '\t', '\r\n'][draw() % 6]!;
  const string = (from: string) => {
    let out = '';
    for (let at = 0; at < from.length; at += 1) {
      const char = from[at]!;
      const short = JSON.stringify(char).slice(1, -1);
      const hex = char.charCodeAt(0).toString(16).padStart(4, '0');
      const escape = `\\u${draw() % 2 === 0 ? hex : hex.toUpperCase()}`;
      out += draw() % 3 === 0 ? escape : short;
    }
    return `"${out}"`;
  };
  if (typeof of === 'string') return string(of);
  if (Object.is(of, -0)) return '-0';
  if (typeof of !== 'object' || of === null) return JSON.stringify(of);
  const parts = Array.isArray(of)
    ? of.map((item) => blank() + write(item, draw) + blank())
    : Object.entries(of).map(
        ([name, item]) => `${blank()}${string(name)}${blank()}:${blank()}${write(item, draw)}${blank()}`,
      );
  const [open, close] = Array.isArray(of) ? '[]' : '{}';
  return `${open}${parts.length === 0 ? blank() : parts.join(',')}${close}`;
}

const drawn = fc.infiniteStream(fc.nat(1_000)).map((stream) => () => stream.next().value as number);
const written = fc.tuple(value, drawn).map(([of, draw]) => ({ of, json: write(of, draw) }));
const damage = fc.tuple(
  fc.nat(),
  fc.constantFrom('}', ']', ',', ':', 'x', '"', '{', '\u0001', '-', '€', '\\€', '\\u12€4', '.', 'e', '0', ''),
);
const damaged = fc.tuple(written, damage).map(([{ json }, [place, char]]) => {
  const at = place % (json.length + 1);
  return json.slice(0, at) + char + json.slice(at + (char === '' ? 1 : 0));
});

describe('parseJson()', () => {
  it('reads every value that was written, however it was escaped and whatever was read before', () => {
    fc.assert(
      fc.property(written, ({ of, json }) => {
        for (const read of [parseJson, readStrictly]) {
          expect(read(json)).toEqual(of);
          expect(JSON.stringify(read(json))).toBe(JSON.stringify(of));
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ['{"k":1,"\\\\":2}', '{"k":1,"\\u00e9":2}', 'é'],
    ['{"k":1,"\\\\":2}', '{"k":1,"\\u0000":2}', '\u0000'],
    ['{"h":[],"\\\\":0}', '{"h":1,"\\"":2}', '"'],
    ['{"\\r":[],"\\\\":0}', '{"\\r":1,"\\n":2}', '\n'],
    ['{"m":1,"\\\\n":2}', '{"m":1,"\\nX":2}', '\nX'],
    ['{"o":1,"\\\\u0":2}', '{"o":1,"\\u0041BC":2}', 'ABC'],
    ['[{"p":{"q":1,"\\u005c":2}}]', '[{"p":{"q":1,"\\t":2}}]', '\t'],
  ])('regression: after %s it reads %s rightly', (poison, canary, name) => {
    for (let times = 0; times < 3; times += 1) {
      // What poisons is the object, whoever builds it.
      JSON.parse(poison);
      parseJson(poison);
      expect(JSON.stringify(parseJson(canary))).toContain(`,${JSON.stringify(name)}:`);
    }
  });

  it('takes a text for JSON where V8 does, and reads the same from it', () => {
    let good = 0;
    let bad = 0;
    fc.assert(
      fc.property(damaged, (json) => {
        const expected = outcome(JSON.parse, json);
        const ours = outcome(readStrictly, json);
        expect('value' in ours).toBe('value' in expected);
        if ('value' in ours) good += 1;
        else bad += 1;
        // V8 is right about keys without escapes.
        if (!/\\[^:]*"[ \t\r\n]*:/.test(json)) expect(ours).toEqual(expected);
      }),
      { numRuns: 3_000 },
    );
    expect(good).toBeGreaterThan(100);
    expect(bad).toBeGreaterThan(500);
  });

  it.each(['0', '-0', '1e2', '1E+2', '-1.5e-300', '1e400', '123456789012345678901234567890', '0.1'])(
    'reads the number %s as V8 does',
    (json) => {
      expect(readStrictly(json)).toBe(JSON.parse(json));
    },
  );

  it('lets the last value of a key count, at the place of the first, and keeps __proto__ as a key', () => {
    for (const json of ['{"a\\n":1,"b":2,"a\\u000a":3}', '{"\\u005f_proto__":{"x":1},"7":1,"a":2,"3":4}']) {
      const read = parseJson(json) as object;
      expect(JSON.stringify(read)).toBe(JSON.stringify(JSON.parse(json)));
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      expect(Object.keys(read)).toEqual(Object.keys(JSON.parse(json) as object));
    }
  });

  it('reads any depth', () => {
    const deep = '{"\\n":['.repeat(50_000) + ']}'.repeat(50_000);
    let levels = 0;
    for (let at = parseJson(deep); at !== undefined; at = (at as unknown[])[0]) {
      at = (at as Record<string, unknown>)['\n'];
      levels += 1;
    }
    expect(levels).toBe(50_000);
  });
});

describe('JsonSyntaxError', () => {
  it('is at the first character that cannot stand there, whatever the text', () => {
    let found = 0;
    fc.assert(
      fc.property(
        damaged.filter((json) => !('value' in outcome(JSON.parse, json))),
        (json) => {
          const at = faultAt(json)!;
          found += 1;
          // With what stands before it a JSON text may begin, with it none can.
          expect(faultAt(json.slice(0, at)) ?? at).toBe(at);
          // Of a misspelt true, false or null it is the first one.
          if (!'tfn'.includes(json[at] ?? 't')) expect(faultAt(json.slice(0, at + 1))).toBe(at);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(found).toBeGreaterThan(500);
  });

  it.each([
    ['{"a":}', 5],
    ['[1, x]', 4],
    ['{"a":[true,]}', 11],
    ['[nulx]', 1],
    ['"a\\€"', 3],
    ['"\\u12x4"', 5],
    ['\u0001', 0],
    ['{"a":1', 6],
    ['[1,2', 4],
    ['nul', 3],
    ['{"a":1,}', 7],
    ['{}x', 2],
    [' ', 1],
    ['', 0],
    ['01', 1],
    ['-', 1],
    ['-x', 1],
    ['1.', 2],
    ['1.e5', 2],
    ['[1e+]', 4],
    ['\u00a01', 0],
    ['{"\\n":1,}', 8],
    ['{"type":"event","event_name":"page_view","user_id":user-1}', 51],
  ])('regression: says where %j stops being JSON', (json, at) => {
    expect(faultAt(json)).toBe(at);
  });

  it('says where a long text stops', () => {
    const item = '{"a":"b\\"}"},';
    expect(faultAt(`[${item.repeat(10_000)}?]`)).toBe(1 + item.length * 10_000);
  });
});

describe('parseJsonString()', () => {
  it('reads strings and nothing else', () => {
    expect(parseJsonString('"a\\u00e9\\\\"')).toBe('aé\\');
    for (const json of ['{"k":1}', '7', '', '"a', ' "a"'])
      expect(() => parseJsonString(json)).toThrow(SyntaxError);
  });
});
