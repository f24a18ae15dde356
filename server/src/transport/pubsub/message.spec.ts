import { describe, expect, it } from 'vitest';
import { encodeLine } from '../../event/line.ts';
import { EVENT_EXAMPLE } from '../../event/schema.ts';
import { EVENT_COLUMNS } from '../../warehouse/bigquery/columns.ts';
import { encodeMessage } from './message.ts';

const receipt = { project: 'default', receivedAtUs: 1_638_352_801_000_000, newEventId: () => 'made' };
const message = (changes: object = {}) =>
  JSON.parse(encodeMessage(encodeLine({ ...EVENT_EXAMPLE, ...changes }, receipt)).toString()) as Record<
    string,
    unknown
  >;

describe('encodeMessage()', () => {
  it('writes times as the table has them: whole seconds, and RFC 3339 to the microsecond', () => {
    expect(message({ event_time: 1_638_352_800.999999 })).toMatchObject({
      event_time: 1_638_352_800,
      event_timestamp: '2021-12-01T10:00:00.999999Z',
      received_at: '2021-12-01T10:00:01.000000Z',
    });
  });

  it('writes properties as a string of JSON, and leaves absent fields out', () => {
    expect(message({ properties: { a: { b: '"' } } })['properties']).toBe('{"a":{"b":"\\""}}');
    expect(Object.keys(message())).not.toContain('properties');
    expect(Object.keys(message())).not.toContain('city');
  });

  it('has no key that is not a column, and every column that is required', () => {
    const all = message({ region: 'r', city: 'c', properties: {} });
    expect(Object.keys(all).toSorted()).toEqual(EVENT_COLUMNS.map(({ name }) => name).toSorted());
    const required = EVENT_COLUMNS.filter((column) => column.required === true).map(({ name }) => name);
    expect(Object.keys(message())).toEqual(expect.arrayContaining(required));
  });

  it.each(['nope', '{}', '{"event_id":"x"}', '{"event_id":"x","event_time":1.5}'])('refuses %s', (line) => {
    expect(() => encodeMessage(line)).toThrow(expect.objectContaining({ code: 'rejected' }));
  });
});
