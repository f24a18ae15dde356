import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventIds } from '../event/ids.ts';
import { BATCH_LIMITS } from '../event/limits.ts';
import { encodeLine } from '../event/line.ts';
import { countLines } from '../event/lines.ts';
import { readStrictly } from '../event/strict-json.ts';
import { Problem } from '../http/problems.ts';
import type { EncodedBatch } from './batch-events.ts';
import { Encoder } from './encoder.ts';
import type { Steps } from './turns.ts';
import { validate } from './validator.ts';

const NOW_MS = 1_700_000_000_123;
const RULES = { project: 'p', eventTimeMinS: 946_684_800, eventTimeAheadS: 86_400 };
const WINDOW = { fromS: RULES.eventTimeMinS, toS: NOW_MS / 1_000 + RULES.eventTimeAheadS };
/** Always the same id. */
const ids = new EventIds((bytes) => bytes.fill(7));
const receipt = { project: 'p', receivedAtUs: NOW_MS * 1_000, newEventId: () => ids.next(NOW_MS) };
const encoder = new Encoder(RULES, ids);

function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** What becomes of a body: its lines, or why it is refused. */
function batch(
  body: string | Buffer,
  ndjson = false,
): EncodedBatch | { readonly refusal: { readonly code: string; readonly detail: string } } {
  try {
    return finish(encoder.batch({ bytes: Buffer.from(body), ndjson, nowMs: NOW_MS }));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { refusal: { code: error.code, detail: error.message } };
  }
}
const encoded = (body: string | Buffer, ndjson = false) => batch(body, ndjson) as EncodedBatch;
const texts = ({ lines }: EncodedBatch) => (lines.length === 0 ? [] : lines.toString('utf8').split('\n'));

const GOOD =
  '{"type":"event","event_name":"e","user_id":"u","session_id":"s","event_time":1700000000,"event_id":"i"}';
const LINE =
  '{"event_id":"i","event_id_given":true,"project":"p","received_at":1700000000123000,"event_time":1700000000000000,' +
  '"event_name":"e","user_id":"u","session_id":"s"}';

/** What parsing, checking and encoding make of an event, without the scan and without V8: its line, faults, or undefined. */
function general(json: string): string | readonly object[] | undefined {
  let value: unknown;
  try {
    value = readStrictly(json);
  } catch {
    return undefined;
  }
  const checked = validate(value, WINDOW, true);
  return 'faults' in checked ? checked.faults : encodeLine(checked.event, receipt, true);
}

/** The same by the encoder, as the only event of a batch. */
function ours(result: ReturnType<typeof batch>): string | readonly object[] | undefined {
  if ('refusal' in result) return undefined;
  const [line] = texts(result);
  const [rejected] = result.rejected;
  return line ?? (rejected?.code === 'invalid-json' ? undefined : rejected?.errors);
}

const unit = fc.constantFrom(
  'a',
  'Z',
  '7',
  ' ',
  'ä',
  '€',
  '😀',
  '\u007f',
  '"',
  '\\',
  '\n',
  '\u0000',
  '\ud800',
);
const plain = fc.string({ unit: fc.constantFrom('a', 'Z', '7', ' ', '/', 'ä', '😀'), maxLength: 12 });
const text = fc.oneof({ weight: 5, arbitrary: plain }, fc.string({ unit, maxLength: 6 }));
const long = fc.tuple(fc.constantFrom('a', 'ä', '😀'), fc.integer({ min: 45, max: 210 }));
const string = fc
  .oneof(
    { weight: 9, arbitrary: text },
    long.map(([char, count]) => char.repeat(count)),
  )
  .map((value) => JSON.stringify(value));
const number = fc.oneof(
  fc.integer().map(String),
  fc.double().map((value) => JSON.stringify(value)),
  fc.tuple(fc.nat(), fc.stringMatching(/^\d{1,10}$/)).map(([whole, fraction]) => `${whole}.${fraction}`),
  fc.constantFrom(
    '0',
    '-0',
    '-1',
    '01',
    '1.',
    '.5',
    '1e3',
    '1E+2',
    '-',
    '0.0000001',
    '0.1',
    '1.50',
    '-0.5',
    '0.05',
    '00.5',
    '0.0',
    '-0.0',
    '1.0',
  ),
  fc.constantFrom(
    '9007199254740991',
    '9007199254740992',
    '-9007199254740993',
    '999999999999999',
    '1e400',
    'NaN',
  ),
);
const time = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 946_684_790, max: 1_700_086_410 }).map(String) },
  fc.double({ min: 946_684_799, max: 1_700_086_401, noNaN: true }).map(String),
  fc
    .tuple(fc.integer({ min: 946_684_799, max: 1_700_086_400 }), fc.stringMatching(/^\d{1,9}$/))
    .map(([whole, fraction]) => `${whole}.${fraction}`),
  fc.constantFrom('1700086400.123', '1700086400.1230001', '946684800', '946684799.9999999'),
  number,
);
const blank = fc.oneof({ weight: 6, arbitrary: fc.constant('') }, fc.constantFrom(' ', '\t', '\n', '\r\n'));
/** Every character as an escape, which may stand in keys too. */
const escapes = (of: string) =>
  `"${Array.from({ length: of.length }, (_, at) => `\\u${of.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`;
const key = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: plain },
      text,
      fc.constantFrom('7', '0x', '__proto__', 'constructor', '', '-1', 'b', 'b', '\\', '\\u0', '\\n'),
    ),
    fc.nat(8),
  )
  .map(([name, how]) => (how === 0 ? escapes(name) : JSON.stringify(name)));
const json: fc.Arbitrary<string> = fc.letrec<{ value: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, depthIdentifier: 'json' },
    string,
    number,
    fc.constantFrom('true', 'false', 'null', 'tru'),
    tie('object'),
    fc
      .tuple(fc.array(tie('value'), { maxLength: 3, depthIdentifier: 'json' }), blank)
      .map(([values, space]) => `[${space}${values.join(`${space},`)}${space}]`),
  ),
  object: fc
    .tuple(fc.array(fc.tuple(key, tie('value')), { maxLength: 4, depthIdentifier: 'json' }), blank)
    .map(
      ([members, space]) =>
        `{${space}${members.map(([name, value]) => `${name}${space}:${space}${value}`).join(`,${space}`)}${space}}`,
    ),
})).object;

const FIELDS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  type: fc.oneof({ weight: 30, arbitrary: fc.constant('"event"') }, string),
  event_name: string,
  user_id: string,
  session_id: string,
  event_time: time,
  event_id: string,
  page: string,
  country: string,
  region: string,
  city: string,
  properties: fc.oneof({ weight: 9, arbitrary: json }, string),
  unknown: string,
};
const REQUIRED = ['type', 'event_name', 'user_id', 'session_id', 'event_time'];
const names = fc
  .tuple(
    fc.shuffledSubarray(REQUIRED, { minLength: 5 }),
    fc.subarray(['event_id', 'page', 'country', 'region', 'city', 'properties']),
    fc.oneof(
      { weight: 12, arbitrary: fc.constant<string[]>([]) },
      fc.constantFrom(['page'], ['unknown'], ['type']),
    ),
    fc.boolean(),
  )
  .map(([required, optional, odd, swap]) => [
    ...(swap ? [...optional, ...required] : [...required, ...optional]),
    ...odd,
  ]);
const member = (name: string) => fc.tuple(fc.constant(name), FIELDS[name]!);
const event = fc
  .tuple(
    names.chain((some) => fc.tuple(...some.map(member))),
    blank,
  )
  .map(
    ([members, space]) =>
      `{${space}${members.map(([name, value]) => `${name.length > 8 && space === '\t' ? escapes(name) : `"${name}"`}${space}:${space}${value}`).join(`${space},`)}}${space}`,
  );
/** One character put in, taken out, or another in its place. */
const damage = fc.tuple(
  fc.nat(10_000),
  fc.constantFrom(
    '',
    '"',
    '\\',
    ',',
    ':',
    '{',
    '}',
    '[',
    ']',
    '0',
    'e',
    ' ',
    '\n',
    '\u0001',
    '\\u00e4',
    '\\ud800',
  ),
  fc.boolean(),
);
const damaged = fc.tuple(event, damage).map(([sent, [place, char, replace]]) => {
  const at = place % sent.length;
  return (sent.slice(0, at) + char + sent.slice(at + (replace || char === '' ? 1 : 0))).toWellFormed();
});

describe('Encoder.batch()', () => {
  it('makes of every event what parsing, checking and encoding make of it', () => {
    let lines = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 3, arbitrary: event }, damaged), (sent) => {
        const expected = general(sent.trim());
        if (typeof expected === 'string') lines += 1;
        expect(ours(batch(`[${sent}]`))).toEqual(general(`[${sent}]`) === undefined ? undefined : expected);
        const oneLine = sent.replaceAll(/[\r\n]/g, ' ');
        expect(ours(batch(oneLine, true))).toEqual(general(oneLine));
      }),
      { numRuns: 4_000 },
    );
    // Most of them are good, so the short way was taken often.
    expect(lines).toBeGreaterThan(800);
  });

  const properties = (value: unknown) => GOOD.replace('}', `,"properties":${JSON.stringify(value)}}`);
  const nested = (levels: number): object => (levels === 1 ? {} : { a: nested(levels - 1) });
  const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n]));
  const spread = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, keys(16)]));
  it.each([
    ['a time with a zero before it', GOOD.replace('1700000000', '01700000000')],
    ['a time with a point and nothing behind', GOOD.replace('1700000000', '1700000000.')],
    ['a field twice', GOOD.replace('}', ',"user_id":"v"}')],
    ['properties five levels deep', properties(nested(5))],
    ['properties six levels deep', properties(nested(6))],
    ['arrays five levels deep', properties({ a: [[[[]]]] })],
    ['arrays six levels deep', properties({ a: [[[[[]]]]] })],
    ['200 characters as escapes', GOOD.replace('"u"', `"${'\\u00e4'.repeat(200)}"`)],
    ['201 characters as escapes', GOOD.replace('"u"', `"${'\\u00e4'.repeat(201)}"`)],
    ['slashes with a backslash', properties({ a: '//', b: { c: '/' } }).replaceAll('/', '\\/')],
    ['a NUL deep in properties', properties({ a: [{ b: '\u0000' }] })],
    ['a lone surrogate deep in properties', properties({ a: [{ b: '\ud800' }] })],
    ['eight strings with escapes', properties({ a: Array.from({ length: 8 }, () => '\n') })],
    ['nine strings with escapes', properties({ a: Array.from({ length: 9 }, () => '\n') })],
    ['a key with an escape', properties({ 'a\n': 1 })],
    ['a key twice, once as an escape', GOOD.replace('}', ',"properties":{"a":1,"\\u0061":2}}')],
    ['32 keys', properties(keys(32))],
    ['33 keys', properties(keys(33))],
    ['255 keys over two levels', properties(spread(15))],
    ['256 keys over two levels', properties({ ...spread(15), one: 1 })],
    ['properties of 32 KiB', properties({ a: 'x'.repeat(32 * 1_024 - 8) })],
    ['properties of a byte more', properties({ a: 'x'.repeat(32 * 1_024 - 7) })],
    [
      'properties that are larger as they are sent',
      properties({ a: 'x'.repeat(32_750) }).replace(':{', `:{${' '.repeat(50)}`),
    ],
  ])('makes of %s what parsing, checking and encoding make of it', (_name, sent) => {
    const alone = () => ours(batch(`[${sent}]`));
    expect(alone()).toEqual(general(sent));
    expect(alone()).toEqual(ours(batch(sent, true)));
  });

  it('keeps the order of the events, whichever way they went', () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 12 }), (events) => {
        const results = events.map(general);
        fc.pre(!results.includes(undefined));
        const result = encoded(`[${events.join(',')}]`);
        expect(texts(result)).toEqual(results.filter((line) => typeof line === 'string'));
        const bad = [...results.keys()].filter((index) => typeof results[index] !== 'string');
        expect(result.rejected.map(({ index }) => index)).toEqual(bad);
        expect(result).toMatchObject({ accepted: events.length - bad.length, rejectedTotal: bad.length });
      }),
      { numRuns: 300 },
    );
  });

  it('makes the same of batches that are encoded in turns', () => {
    const bodies = fc.array(fc.tuple(fc.array(event, { maxLength: 300 }), fc.boolean()), { maxLength: 4 });
    fc.assert(
      fc.property(bodies, fc.infiniteStream(fc.nat()), (drawn, turns) => {
        const given = drawn.map(([events, ndjson]) => {
          const flat = events.map((sent) => sent.replaceAll(/[\r\n]/g, ' '));
          return {
            bytes: Buffer.from(ndjson ? flat.join('\n') : `[${flat.join(',')}]`),
            ndjson,
            nowMs: NOW_MS,
          };
        });
        const outcome = (step: () => unknown) => {
          try {
            return step();
          } catch (error) {
            return error;
          }
        };
        const alone = given.map((body) => outcome(() => finish(encoder.batch(body))));
        const together: unknown[] = [];
        const underWay = given.map((body, index) => ({ index, steps: encoder.batch(body) }));
        while (underWay.length > 0) {
          const at = (turns.next().value as number) % underWay.length;
          const { index, steps } = underWay[at]!;
          const step = outcome(() => steps.next()) as IteratorResult<undefined, EncodedBatch> | Error;
          if (!(step instanceof Error) && step.done !== true) continue;
          together[index] = step instanceof Error ? step : step.value;
          underWay.splice(at, 1);
        }
        expect(together).toEqual(alone);
      }),
      { numRuns: 15 },
    );
  });

  it('gives lines in a buffer of their own, which can be handed to another thread', () => {
    const { lines } = encoded(`[${GOOD},${GOOD}]`);
    expect(lines.buffer.byteLength).toBe(lines.length);
    expect(countLines(lines)).toBe(2);
    batch(`[${GOOD.replace('"u"', '"other"')}]`);
    expect(lines.toString()).toBe(`${LINE}\n${LINE}`);
  });

  it('holds lines that are larger than its buffer', () => {
    const sent = GOOD.replace('}', `,"properties":{"a":"${'x'.repeat(30_000)}"}}`);
    const unusual = GOOD.replace('}', `,"properties":{"a":"\\n${'€'.repeat(10_000)}"}}`);
    const result = encoded(`[${Array.from({ length: 60 }, () => `${sent},${unusual}`).join(',')}]`);
    expect(texts(result)).toEqual(Array.from({ length: 60 }, () => [general(sent), general(unusual)]).flat());
  });

  it.each([
    ['nothing', '', 'invalid-json'],
    ['white space', ' \n', 'invalid-json'],
    ['no array', GOOD, 'invalid-json'],
    ['an array cut off', `[${GOOD}`, 'invalid-json'],
    ['an event cut off', `[${GOOD.slice(0, -1)}`, 'invalid-json'],
    ['a string cut off', `[${GOOD},"a`, 'invalid-json'],
    ['a comma at the end', `[${GOOD},]`, 'invalid-json'],
    ['a comma too many', `[${GOOD},,${GOOD}]`, 'invalid-json'],
    ['no comma', `[${GOOD} ${GOOD}]`, 'invalid-json'],
    ['something behind', `[${GOOD}]]`, 'invalid-json'],
    ['an empty array', ' [ ] ', 'empty-batch'],
    ['too many', `[${'1,'.repeat(BATCH_LIMITS.eventsMax)}1]`, 'too-many-events'],
  ])('refuses %s', (_name, body, code) => {
    expect(batch(body)).toMatchObject({ refusal: { code } });
  });

  it('says where a JSON array is broken', () => {
    expect(batch(`[${GOOD} ${GOOD}]`)).toMatchObject({
      refusal: { detail: expect.stringMatching(/^not valid JSON at position 105/) as string },
    });
  });

  it.each([
    ['in a line', `[${GOOD},\n {"a":x}]`, 'position 112 (line 2 column 7)'],
    ['behind emoji', `["😀",${GOOD.replace('"u"', '"ä😀"')},,]`, `position ${7 + GOOD.length + 2}`],
    ['in a key with an escape', '[{"\\u00e4":1,"\\x":2}]', 'position 15'],
    ['behind a large event', `[{"a":"${'x'.repeat(600_000)}"},?]`, 'position 600010'],
    [
      'where a quote is missing',
      `[${GOOD.replace('"u"', '"u')},${`${GOOD},`.repeat(9_000)}1]`,
      'position 48',
    ],
    ['in a large event', `[{"a":[1 2${',1'.repeat(900_000)}]}]`, 'position 9'],
  ])('says where a JSON array is broken: %s', (_name, body, place) => {
    expect(batch(body)).toMatchObject({
      refusal: { code: 'invalid-json', detail: `not valid JSON at ${place}` },
    });
  });

  it('takes as many as a batch may have', () => {
    expect(batch(`[${Array.from({ length: BATCH_LIMITS.eventsMax }, () => GOOD).join(',')}]`)).toMatchObject({
      accepted: BATCH_LIMITS.eventsMax,
      rejectedTotal: 0,
    });
  });

  it('takes what is no object as an event that is not valid', () => {
    const result = encoded(`[1, "a]", null,[${GOOD}], ${GOOD} ]`);
    expect(result.rejected.map(({ index, code }) => [index, code])).toEqual(
      [0, 1, 2, 3].map((index) => [index, 'invalid-event']),
    );
    expect(texts(result)).toEqual([LINE]);
  });

  it('lists the first hundred that are rejected and counts all, by code', () => {
    const result = encoded(`${'{}\n'.repeat(150)}{\n${GOOD}\n`, true);
    expect(result).toMatchObject({ accepted: 1, rejectedTotal: 151 });
    expect(result.rejected).toHaveLength(100);
    expect([...result.rejectedByCode]).toEqual([
      ['invalid-event', 150],
      ['invalid-json', 1],
    ]);
  });

  it('names a rejected event by its event_id, where that is one', () => {
    const result = encoded(`[{"event_id":"mine"},{"event_id":7},{"event_id":"\\ud800"},{"event_id":""}]`);
    expect(result.rejected.map(({ event_id: id }) => id)).toEqual(['mine', undefined, undefined, undefined]);
  });
});

describe('Encoder.batch() of NDJSON', () => {
  it('passes over blank lines, and takes a last line without an end', () => {
    const result = encoded(`\n \r\n${GOOD}\r\n\t\n  ${GOOD}  \n{}\n${GOOD}`, true);
    expect(texts(result)).toEqual([LINE, LINE, LINE]);
    expect(result.rejected.map(({ index }) => index)).toEqual([2]);
  });

  it('takes an event for one line only', () => {
    const result = encoded(`${GOOD.replace(',', ',\n')}\n${GOOD}${GOOD}\n${GOOD},\n${GOOD}`, true);
    expect(result.rejected.map(({ index, code }) => [index, code])).toEqual(
      [0, 1, 2, 3].map((index) => [index, 'invalid-json']),
    );
    expect(texts(result)).toEqual([LINE]);
  });

  it.each([
    ['nothing', '', 'empty-batch'],
    ['blank lines', '\n \r\n', 'empty-batch'],
    ['too many lines', '{}\n'.repeat(BATCH_LIMITS.eventsMax + 1), 'too-many-events'],
  ])('refuses %s', (_name, body, code) => {
    expect(batch(body, true)).toMatchObject({ refusal: { code } });
  });

  it('rejects a line that is not UTF-8, and that line alone', () => {
    const bad = Buffer.from(GOOD.replace('"u"', '"?"'));
    bad[bad.indexOf('?')] = 0xff;
    const cut = Buffer.from(GOOD.replace('"u"', '"é"'));
    const half = Buffer.concat([cut.subarray(0, cut.indexOf(0xc3) + 1), Buffer.from('\n')]);
    const body = Buffer.concat([
      Buffer.from(`${GOOD}\n`),
      bad,
      Buffer.from('\n'),
      half,
      Buffer.from(`{}\n${GOOD}`),
    ]);
    expect(isUtf8(body)).toBe(false);
    const result = encoded(body, true);
    expect(texts(result)).toEqual([LINE, LINE]);
    expect(result.rejected.map(({ index, code }) => [index, code])).toEqual([
      [1, 'invalid-utf8'],
      [2, 'invalid-utf8'],
      [3, 'invalid-event'],
    ]);
    expect(result.rejected[0]!.errors).toEqual([{ pointer: '', detail: 'not valid UTF-8' }]);
  });

  it('refuses a JSON array that is not UTF-8 as a whole', () => {
    const body = Buffer.from(`[${GOOD},"?"]`);
    body[body.indexOf('?')] = 0xff;
    expect(batch(body)).toMatchObject({ refusal: { code: 'invalid-utf8' } });
  });
});

describe('a byte order mark', () => {
  it('is passed over at the start of a body of any kind, and nowhere else', () => {
    expect(texts(encoded(`\ufeff[${GOOD}]`))).toEqual([LINE]);
    expect(texts(encoded(`\ufeff${GOOD}\n${GOOD}`, true))).toEqual([LINE, LINE]);
    expect(encoder.event(Buffer.from(`\ufeff${GOOD}`), NOW_MS).toString()).toBe(LINE);
    expect(batch(`[\ufeff${GOOD}]`)).toMatchObject({ refusal: { code: 'invalid-json' } });
    expect(encoded(`${GOOD}\n\ufeff${GOOD}`, true).rejected).toMatchObject([
      { index: 1, code: 'invalid-json' },
    ]);
  });
});

describe('Encoder.event()', () => {
  it('makes of an event what a batch makes of it', () => {
    fc.assert(
      fc.property(fc.oneof(event, damaged), (sent) => {
        const expected = general(sent);
        const line = () => encoder.event(Buffer.from(sent), NOW_MS).toString();
        if (typeof expected === 'string') expect(line()).toBe(expected);
        else
          expect(line).toThrow(
            expect.objectContaining({
              code: expected === undefined ? 'invalid-json' : 'invalid-event',
            }) as Error,
          );
      }),
      { numRuns: 1_000 },
    );
  });
});
