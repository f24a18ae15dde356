import { describe, expect, it } from 'vitest';
import { EventIds } from '../event/ids.ts';
import { BATCH_LIMITS, EVENT_BYTES_MAX, EVENT_LIMITS } from '../event/limits.ts';
import type { Problem } from '../http/problems.ts';
import type { EncodedBatch } from './batch-events.ts';
import { Encoder } from './encoder.ts';

/* What no body may do, however it is made: hold the thread, fill the memory, or be refused with a wrong word. */

const NOW_MS = 1_700_000_000_000;
/** CPU of one step: what a slice ends with. A body must not hold the thread for more than 50 ms, slice included. */
const STEP_CPU_MS_MAX = 35;
const RULES = { project: 'p', eventTimeMinS: 946_684_800, eventTimeAheadS: 86_400 };
const encoder = new Encoder(RULES, new EventIds((bytes) => bytes.fill(7)));

const OPEN = '{"type":"event","event_name":"e","user_id":"u","session_id":"s","event_time":1700000000';
const GOOD = `${OPEN}}`;
const ROOM = BATCH_LIMITS.bytesMax - 200;
const filled = (piece: string) => piece.repeat(Math.floor(ROOM / Buffer.byteLength(piece)));
const times = (count: number, piece: string) => Array.from({ length: count }, () => piece);
const fields = (count: number) => Array.from({ length: count }, (_, n) => `,"k${n}":1`).join('');
const large = (inside: string) => `${OPEN},"properties":{${inside}}}`;

/** Bodies made to be slow, as events; each is sent in an array and as lines. */
const EVENTS: Readonly<Record<string, readonly string[]>> = {
  'opening brackets': [filled('[')],
  'opening objects': [filled('{"a":')],
  '700,000 unknown fields': [`${OPEN}${fields(700_000)}}`],
  'properties of 10 MiB': [large(`"a":[${filled('1e0,')}1]`)],
  'a string of 10 MiB': [`${OPEN},"page":"${filled('x')}"}`],
  'a string of 10 MiB of escapes': [`${OPEN},"page":"${filled('\\n')}"}`],
  'a property of 10 MiB of escapes': [large(`"a":"${filled('\\n')}"`)],
  'a key of 10 MiB of escapes': [`${OPEN},"${filled('\\n')}":1}`],
  'a string of 10 MiB of emoji': [`${OPEN},"page":"${filled('😀')}"}`],
  '10,000 good events': times(10_000, GOOD),
  '10,000 empty objects': times(10_000, '{}'),
  '10,000 events with unknown fields': times(10_000, `${OPEN}${fields(90)}}`),
  '10,000 events with escaped keys': times(10_000, large(times(60, '"\\u0061\\n":1').join(','))),
  '40 events of arrays': times(40, large(`"a":[${'[],'.repeat(80_000)}1]`)),
  '40 events of arrays, with an escaped key': times(40, large(`"\\n":[${'[],'.repeat(80_000)}1]`)),
  '40 events of escapes in keys': times(40, large(`"${'\\n'.repeat(120_000)}":1`)),
  '40 events of short strings': times(40, large(`"\\n":["${'a","'.repeat(15_000)}"]`)),
  '40 events broken at their end': times(40, large(`"\\n":"${'x'.repeat(250_000)}`)),
  'white space': [filled(' ')],
  newlines: [filled('\n')],
  'white space within': [`{${filled(' ')}}`],
  backslashes: [`"${filled('\\')}`],
  quotes: [filled('"')],
  colons: [filled(':')],
  'a number of 10 MiB': [filled('1')],
};

interface Run {
  readonly outcome: EncodedBatch | Problem;
  readonly steps: number;
  readonly slowestMs: number;
}

/** CPU time of this thread, which other processes do not lengthen. */
function cpuMs(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

function run(body: string, ndjson: boolean): Run {
  const batch = encoder.batch({ bytes: Buffer.from(body), ndjson, nowMs: NOW_MS });
  let slowestMs = 0;
  for (let steps = 1; ; steps += 1) {
    let outcome: EncodedBatch | Problem | undefined;
    const ms = cpuMs(() => {
      try {
        const { done, value } = batch.next();
        if (done === true) outcome = value;
      } catch (error) {
        outcome = error as Problem;
      }
    });
    slowestMs = Math.max(slowestMs, ms);
    if (outcome !== undefined) return { outcome, steps, slowestMs };
  }
}

describe('a body that is made to be slow', () => {
  for (const [name, events] of Object.entries(EVENTS)) {
    for (const ndjson of [false, true]) {
      it(`regression: ${name}, as ${ndjson ? 'NDJSON' : 'an array'}, holds the thread for a short time`, () => {
        const body = ndjson ? events.join('\n') : `[${events.join(',')}]`;
        expect(Buffer.byteLength(body)).toBeLessThanOrEqual(BATCH_LIMITS.bytesMax);
        let { slowestMs, outcome } = run(body, ndjson);
        // Once more where it was slow: the compiler or the collector may have been met.
        for (let again = 0; again < 2 && slowestMs >= STEP_CPU_MS_MAX; again += 1) {
          ({ slowestMs, outcome } = run(body, ndjson));
        }
        expect(slowestMs).toBeLessThan(STEP_CPU_MS_MAX);
        if (outcome instanceof Error) expect(outcome.code).toMatch(/^(invalid-json|empty-batch)$/);
        else expect(outcome.accepted + outcome.rejectedTotal).toBe(events.length);
      });
    }
  }
});

describe('the largest event', () => {
  const escape = (text: string) =>
    [...Array(text.length).keys()]
      .map((at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join('');
  const { nameCharsMax, pageCharsMax, placeCharsMax, propertiesBytesMax } = EVENT_LIMITS;
  const name = '😀'.repeat(nameCharsMax);
  const place = '😀'.repeat(placeCharsMax);
  const strings = {
    type: 'event',
    event_name: name,
    user_id: name,
    session_id: name,
    event_id: name,
    page: '😀'.repeat(pageCharsMax),
    country: place,
    region: place,
    city: place,
  };
  const quoted = (text: string) => `"${escape(text)}"`;
  const members = Object.entries(strings).map(([field, text]) => `${quoted(field)}:${quoted(text)}`);
  const value = 'x'.repeat(propertiesBytesMax - '{"a":""}'.length);
  const event = `{${members.join(',')},${quoted('event_time')}:1.700000000000000e9,${quoted('properties')}:{${quoted('a')}:${quoted(value)}}}`;

  it('regression: is taken although all of it is escaped, alone and in a batch', () => {
    expect(event.length).toBeLessThanOrEqual(EVENT_BYTES_MAX);
    const line = JSON.parse(encoder.event(Buffer.from(event), NOW_MS).toString()) as Record<string, unknown>;
    const { type: _, ...kept } = strings;
    expect(line).toMatchObject({ ...kept, properties: { a: value } });
    for (const ndjson of [false, true]) {
      const { outcome } = run(ndjson ? event : `[${event}]`, ndjson);
      expect(outcome).toMatchObject({ accepted: 1, rejectedTotal: 0 });
    }
  });

  it('may have as many values as there is room for', () => {
    const count = (propertiesBytesMax - '{"7":[]}'.length) / 2;
    const values = Array.from({ length: count }, () => 1);
    const sent = `{${members.join(',')},"event_time":1700000000,"properties":{"7":[${values.join(',')}]}}`;
    expect(sent.split(',').length - 1).toBeGreaterThan(propertiesBytesMax / 2);
    expect(encoder.event(Buffer.from(sent), NOW_MS).toString()).toContain('"properties":{"7":[1,1,');
    for (const ndjson of [false, true]) {
      const { outcome } = run(ndjson ? sent : `[${sent}]`, ndjson);
      expect(outcome).toMatchObject({ accepted: 1, rejectedTotal: 0 });
    }
  });

  it('may have white space up to its limit in bytes', () => {
    const padded = (bytes: number) => `{${' '.repeat(bytes - GOOD.length)}${GOOD.slice(1)}`;
    const sent = [padded(EVENT_BYTES_MAX), padded(EVENT_BYTES_MAX + 1), GOOD];
    for (const ndjson of [false, true]) {
      const { outcome } = run(ndjson ? sent.join('\n') : `[${sent.join(',')}]`, ndjson);
      const detail = `an event must be at most ${EVENT_BYTES_MAX} bytes as JSON, is ${EVENT_BYTES_MAX + 1}`;
      expect(outcome).toMatchObject({
        accepted: 2,
        rejected: [{ index: 1, code: 'invalid-event', errors: [{ pointer: '', detail }] }],
      });
    }
  });
});

describe('an event that is refused before it is parsed', () => {
  const deep = (levels: number) => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);
  const keys = (count: number) => fields(count).slice(1);
  const unknown = /^is not a field of an event; allowed: type, /;
  it.each([
    [
      'deep properties',
      `${OPEN},"properties":${deep(300)}}`,
      '/properties',
      /^must be at most 5 levels deep$/,
    ],
    [
      'deep properties by an escaped name',
      `${OPEN},"\\u0070roperties":${deep(300)}}`,
      '/properties',
      /5 levels/,
    ],
    [
      'properties of many keys',
      large(keys(2_000)),
      '/properties',
      /^must have at most 255 keys over all levels$/,
    ],
    [
      'properties of many values',
      large(`"a":[${'1,'.repeat(20_000)}1]`),
      '/properties',
      /^must be at most 32768 bytes/,
    ],
    ['a deep page', `${OPEN},"page":${deep(300)}}`, '/page', /^must be a string$/],
    ['a deep type', `{"type":${deep(300)}}`, '/type', /^must be "event"$/],
    ['a deep unknown field', `${OPEN},"a/b":${deep(300)}}`, '/a~1b', unknown],
    ['a large unknown field', `${OPEN},"other":{${keys(2_000)}}}`, '/other', unknown],
    ['many fields', `${OPEN}${fields(2_000)}}`, '', /^must have at most 1024 keys over all levels$/],
    ['a deep array', '['.repeat(99) + ']'.repeat(99), '', /^an event must be a JSON object$/],
    ['many values', `[${'1,'.repeat(20_000)}1]`, '', /^an event must be a JSON object$/],
  ])(
    'regression: says of %s what is allowed, and takes the events around it',
    (_name, sent, pointer, detail) => {
      const fault = { pointer, detail: expect.stringMatching(detail) as string };
      for (const ndjson of [false, true]) {
        const events = [GOOD, sent, GOOD];
        const { outcome } = run(ndjson ? events.join('\n') : `[${events.join(',')}]`, ndjson);
        expect(outcome).toMatchObject({
          accepted: 2,
          rejected: [{ index: 1, code: 'invalid-event', errors: [fault] }],
        });
      }
      const thrown = expect.objectContaining({
        code: 'invalid-event',
        options: { faults: [fault] },
      }) as Error;
      expect(() => encoder.event(Buffer.from(sent), NOW_MS)).toThrow(thrown);
    },
  );

  it('is no JSON where it does not end', () => {
    for (const sent of [`${OPEN},"properties":${'{"a":'.repeat(300)}`, '['.repeat(60_000)]) {
      const detail = `not valid JSON at position ${sent.length}, where it ends`;
      expect(() => encoder.event(Buffer.from(sent), NOW_MS)).toThrow(detail);
      expect(run(sent, true).outcome).toMatchObject({
        rejected: [{ code: 'invalid-json', errors: [{ detail }] }],
      });
      expect(run(`[${sent}`, false).outcome).toMatchObject({ code: 'invalid-json' });
    }
  });

  it('is no JSON where a fault stands before what there is too much of', () => {
    const broken = `${OPEN},"page":x,"properties":${deep(300)}}`;
    expect(() => encoder.event(Buffer.from(broken), NOW_MS)).toThrow(
      `not valid JSON at position ${OPEN.length + 8}`,
    );
    expect(run(broken, true).outcome).toMatchObject({ rejected: [{ code: 'invalid-json' }] });
  });
});
