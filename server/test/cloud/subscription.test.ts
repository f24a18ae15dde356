import { describe, expect, it } from 'vitest';
import { mapMessage, type Column, type Mapped, type MappingOptions } from './message-mapping.ts';

/* The rules of Google's documentation, one a test: https://cloud.google.com/pubsub/docs/bigquery */

const SCHEMA: readonly Column[] = [
  { name: 'event_id', type: 'STRING', mode: 'REQUIRED' },
  { name: 'event_time', type: 'TIMESTAMP', mode: 'NULLABLE' },
  { name: 'count', type: 'INTEGER' },
  { name: 'ratio', type: 'FLOAT' },
  { name: 'bounced', type: 'BOOLEAN' },
  { name: 'day', type: 'DATE' },
  { name: 'properties', type: 'JSON' },
  { name: 'tags', type: 'STRING', mode: 'REPEATED' },
];

function map(fields: object | string, options: Partial<MappingOptions> = {}, schema = SCHEMA): Mapped {
  const data = typeof fields === 'string' ? fields : JSON.stringify(fields);
  const message = {
    messageId: 'm1',
    data,
    publishTime: '2026-01-02T03:04:05.678901Z',
    attributes: { a: 'b' },
  };
  return mapMessage(message, schema, { useTableSchema: true, ...options });
}
const refused = (reason: RegExp) => ({ refused: expect.stringMatching(reason) as string });

describe('a message under use_table_schema', () => {
  it('is a flat JSON object whose keys are the columns', () => {
    const fields = { event_id: '1', count: 5, ratio: 0.5, bounced: false, day: '2021-12-01', tags: ['x'] };
    expect(map(fields)).toEqual({ row: { ...fields, count: '5' } });
  });

  it.each(['', 'text', '[]', '"text"', 'null'])('is refused when it is %j', (data) => {
    expect(map(data)).toEqual(refused(/is not (a )?JSON/));
  });

  it('is refused for an unknown field', () => {
    expect(map({ event_id: '1', event_nmae: 'x' })).toEqual(refused(/unknown field: event_nmae/));
  });

  it('loses an unknown field under drop_unknown_fields', () => {
    expect(map({ event_id: '1', other: 'x' }, { dropUnknownFields: true })).toEqual({
      row: { event_id: '1' },
    });
  });

  it.each([{}, { event_id: null }])('is refused without a REQUIRED column: %j', (fields) => {
    expect(map(fields)).toEqual(refused(/missing required field: event_id/));
  });

  it('may lack a NULLABLE column, or hold null', () => {
    expect(map({ event_id: '1', count: null })).toEqual({ row: { event_id: '1' } });
  });
});

describe('a TIMESTAMP column', () => {
  const time = (value: unknown) => map({ event_id: '1', event_time: value });

  it('reads a number as microseconds: unix seconds land in 1970', () => {
    expect(time(1_638_316_800)).toEqual({
      row: { event_id: '1', event_time: '1970-01-01T00:27:18.316800Z' },
    });
    expect(time(1_638_316_800_123_456)).toEqual({
      row: { event_id: '1', event_time: '2021-12-01T00:00:00.123456Z' },
    });
    expect(time(-1)).toEqual({ row: { event_id: '1', event_time: '1969-12-31T23:59:59.999999Z' } });
  });

  it.each(['2021-12-01T00:00:00Z', '2021-12-01T00:00:00.123456Z', '2021-12-01T05:45:00+05:45'])(
    'takes %s',
    (text) => {
      expect(time(text)).toEqual({ row: { event_id: '1', event_time: text } });
    },
  );

  it.each(['12/01/2021', '2021-12-01', '1638316800', '2021-13-01T00:00:00Z', 1.5, true])(
    'refuses %j',
    (value) => {
      expect(time(value)).toEqual(refused(/event_time \(TIMESTAMP\) needs RFC 3339/));
    },
  );
});

describe('a JSON column', () => {
  it('takes a string of escaped JSON', () => {
    const row = { event_id: '1', properties: '{"plan":"pro"}' };
    expect(map(row)).toEqual({ row });
  });

  it('refuses a nested object', () => {
    expect(map({ event_id: '1', properties: { plan: 'pro' } })).toEqual(refused(/the message is flat/));
  });

  it.each(['{', 5, true])('refuses %j', (properties) => {
    expect(map({ event_id: '1', properties })).toEqual(refused(/properties \(JSON\)/));
  });
});

describe('the other types', () => {
  it.each([7, '7', -7, '9223372036854775807'])('INT64 takes %j', (count) => {
    expect(map({ event_id: '1', count })).toEqual({ row: { event_id: '1', count: String(count) } });
  });

  it.each([1.5, '1.5', 'x', true, '9223372036854775808'])('INT64 refuses %j', (count) => {
    expect(map({ event_id: '1', count })).toEqual(refused(/count \(INTEGER\)/));
  });

  it.each([
    ['event_id', 5],
    ['ratio', 'x'],
    ['bounced', 'yes'],
    ['day', '12/01/2021'],
    ['tags', 'x'],
    ['count', [1]],
  ])('%s refuses %j', (name, value) => {
    expect(map({ event_id: '1', [name]: value })).toEqual(refused(new RegExp(`${name} \\(`)));
  });
});

describe('a message without a table schema', () => {
  const data: Column = { name: 'data', type: 'STRING' };
  const metadata: readonly Column[] = [
    { name: 'subscription_name', type: 'STRING' },
    { name: 'message_id', type: 'STRING' },
    { name: 'publish_time', type: 'TIMESTAMP' },
    { name: 'attributes', type: 'JSON' },
  ];
  const options = { useTableSchema: false, subscription: 'projects/p/subscriptions/s' };

  it('lands its data as it is', () => {
    expect(map('not JSON', options, [data])).toEqual({ row: { data: 'not JSON' } });
    expect(map('ab', options, [{ name: 'data', type: 'BYTES' }])).toEqual({ row: { data: 'YWI=' } });
    expect(map('{', options, [{ name: 'data', type: 'JSON' }])).toEqual(refused(/data \(JSON\)/));
  });

  it('lands its metadata under write_metadata', () => {
    expect(map('x', { ...options, writeMetadata: true }, [data, ...metadata])).toEqual({
      row: {
        data: 'x',
        subscription_name: 'projects/p/subscriptions/s',
        message_id: 'm1',
        publish_time: '2026-01-02T03:04:05.678901Z',
        attributes: '{"a":"b"}',
      },
    });
  });

  it('is refused under write_metadata when the table lacks its columns', () => {
    expect(map('x', { ...options, writeMetadata: true }, [data])).toEqual(
      refused(/unknown field: subscription_name/),
    );
  });
});
