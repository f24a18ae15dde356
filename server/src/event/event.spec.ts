import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkEvent } from './check.ts';
import type { Event, JsonObject } from './event.ts';
import { EVENT_LIMITS } from './limits.ts';
import { encodeLine, microseconds } from './line.ts';

const WINDOW = { fromS: 946_684_800, toS: 2_000_000_000 };
const event = (changes: Partial<Event> = {}): Event => ({
  type: 'event',
  event_name: 'e',
  user_id: 'u',
  session_id: 's',
  event_time: 1_700_000_000,
  ...changes,
});
const pointers = (changes: Partial<Event>) =>
  checkEvent(event(changes), WINDOW, true).map(({ pointer }) => pointer);
const nested = (levels: number): JsonObject => (levels === 1 ? {} : { a: nested(levels - 1) });

describe('checkEvent()', () => {
  it('accepts the ends of the window and refuses what lies beyond', () => {
    expect(pointers({ event_time: WINDOW.fromS })).toEqual([]);
    expect(pointers({ event_time: WINDOW.toS })).toEqual([]);
    expect(pointers({ event_time: WINDOW.fromS - 0.001 })).toEqual(['/event_time']);
    expect(pointers({ event_time: WINDOW.toS + 0.001 })).toEqual(['/event_time']);
    expect(pointers({ event_time: Number.NaN })).toEqual(['/event_time']);
  });

  it.each([
    [1e3, 'milliseconds'],
    [1e6, 'microseconds'],
    [1e9, 'nanoseconds'],
  ])('names the unit of a time that is %d times too large', (factor, unit) => {
    const [fault] = checkEvent(event({ event_time: 1_700_000_000 * factor }), WINDOW, false);
    expect(fault?.detail).toContain(`looks like ${unit}: send seconds (1700000000)`);
  });

  it('refuses NUL and lone surrogates anywhere', () => {
    expect(pointers({ user_id: 'a\u0000b' })).toEqual(['/user_id']);
    expect(pointers({ page: '\ud800' })).toEqual(['/page']);
    expect(pointers({ properties: { a: ['\udc00'] } })).toEqual(['/properties/a/0']);
    expect(pointers({ properties: { 'b\u0000': 1 } })).toEqual(['/properties']);
    expect(pointers({ user_id: '😀' })).toEqual([]);
  });

  it('refuses numbers that JSON cannot keep', () => {
    for (const value of [2 ** 53, -(2 ** 53), 1e300, Number.POSITIVE_INFINITY]) {
      expect(pointers({ properties: { a: { b: value } } })).toEqual(['/properties/a/b']);
    }
    expect(pointers({ properties: { a: Number.MAX_SAFE_INTEGER, b: -0.5 } })).toEqual([]);
  });

  it('refuses __proto__ as a key of properties', () => {
    expect(pointers({ properties: JSON.parse('{"a":{"__proto__":1}}') as JsonObject })).toEqual([
      '/properties/a',
    ]);
  });

  it('counts the bytes of properties as JSON, whatever is in them', () => {
    const { propertiesBytesMax } = EVENT_LIMITS;
    const unit = fc.constantFrom('a', '"', '\u0001', 'ß', '€', '😀');
    const text = unit.chain((char) => fc.nat(13_000).map((count) => char.repeat(count)));
    const value = fc.oneof(
      text,
      fc.array(fc.constantFrom(-1.2345678901234e-300, null, true, ''), { maxLength: 2_000 }),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 3 }), value, { maxKeys: 3 }), (properties) => {
        fc.pre(!Object.hasOwn(properties, '__proto__'));
        const bytes = Buffer.byteLength(JSON.stringify(properties));
        const faults = checkEvent(event({ properties }), WINDOW, false);
        expect(faults.length > 0).toBe(bytes > propertiesBytesMax);
      }),
    );
  });

  it('holds the limits on properties', () => {
    const { propertiesDepthMax, propertiesKeysMax, propertiesBytesMax } = EVENT_LIMITS;
    expect(pointers({ properties: nested(propertiesDepthMax) })).toEqual([]);
    expect(pointers({ properties: nested(propertiesDepthMax + 1) })).toEqual(['/properties']);
    const keys = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1]));
    expect(pointers({ properties: keys(propertiesKeysMax) })).toEqual([]);
    expect(pointers({ properties: keys(propertiesKeysMax + 1) })).toEqual(['/properties']);
    const text = (bytes: number) => ({ a: 'ä'.repeat((bytes - 8) / 2) });
    expect(pointers({ properties: text(propertiesBytesMax) })).toEqual([]);
    expect(pointers({ properties: text(propertiesBytesMax + 2) })).toEqual(['/properties']);
  });
});

describe('microseconds()', () => {
  it('is exact for every millisecond and microsecond that a double can say', () => {
    expect(microseconds(1_700_000_000.123456)).toBe(1_700_000_000_123_456);
    expect(microseconds(1_700_000_000.001)).toBe(1_700_000_000_001_000);
    expect(Number.isSafeInteger(microseconds(9_007_199_254))).toBe(true);
  });
});

describe('encodeLine()', () => {
  const receipt = { project: 'p', receivedAtUs: 7, newEventId: () => 'made' };

  it('gives an id where there is none, and says whose it is', () => {
    expect(JSON.parse(encodeLine(event(), receipt))).toMatchObject({
      event_id: 'made',
      event_id_given: false,
    });
    expect(JSON.parse(encodeLine(event({ event_id: 'mine' }), receipt))).toMatchObject({
      event_id: 'mine',
      event_id_given: true,
    });
  });

  it('writes what JSON.stringify would, whatever the text', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    const optional = { requiredKeys: [] };
    const fields = fc.record({ event_name: text, user_id: text, session_id: text });
    const more = fc.record({ event_id: text, page: text, country: text, region: text, city: text }, optional);
    const properties = fc.record({ properties: fc.dictionary(text, fc.jsonValue()) }, optional);
    fc.assert(
      fc.property(fields, more, properties, (one, two, three) => {
        const { type: _, event_id: id, ...rest } = event({ ...one, ...two, ...three });
        const { event_name, user_id, session_id, page, country, region, city } = rest;
        const names = { event_name, user_id, session_id, page, country, region, city };
        const head = {
          event_id: id ?? 'made',
          event_id_given: id !== undefined,
          project: 'p',
          received_at: 7,
        };
        const plain = { ...head, event_time: 1.7e15, ...names, properties: rest.properties };
        expect(
          encodeLine({ type: 'event', ...rest, ...(id === undefined ? {} : { event_id: id }) }, receipt),
        ).toBe(JSON.stringify(plain));
      }),
    );
  });

  it('is one line without the fields that are absent', () => {
    const line = encodeLine(event({ page: 'a\nb' }), receipt);
    expect(line).not.toContain('\n');
    expect(Object.keys(JSON.parse(line) as object)).toEqual([
      'event_id',
      'event_id_given',
      'project',
      'received_at',
      'event_time',
      'event_name',
      'user_id',
      'session_id',
      'page',
    ]);
  });
});
