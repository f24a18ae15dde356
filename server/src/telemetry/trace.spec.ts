import { describe, expect, it } from 'vitest';
import { traceFields } from './trace.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const NAME = `projects/acme-web/traces/${TRACE}`;

const fieldsOf = (headers: Record<string, string>) => traceFields(headers, 'acme-web');
const fields = (span: string | undefined, sampled: boolean) => ({
  'logging.googleapis.com/trace': NAME,
  ...(span === undefined ? {} : { 'logging.googleapis.com/spanId': span }),
  'logging.googleapis.com/trace_sampled': sampled,
});

describe('traceFields()', () => {
  it.each([
    [`00-${TRACE}-00f067aa0ba902b7-01`, fields('00f067aa0ba902b7', true)],
    [`00-${TRACE}-00f067aa0ba902b7-00`, fields('00f067aa0ba902b7', false)],
    [`01-${TRACE}-00f067aa0ba902b7-03-more`, fields('00f067aa0ba902b7', true)],
    [`ff-${TRACE}-00f067aa0ba902b7-01`, {}],
    [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, {}],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, fields(undefined, true)],
    ['nonsense', {}],
    ['', {}],
  ])('traceparent %s', (traceparent, wanted) => {
    expect(fieldsOf({ traceparent })).toEqual(wanted);
  });

  it.each([
    [`${TRACE}/1;o=1`, fields('0000000000000001', true)],
    [`${TRACE.toUpperCase()}/18446744073709551615`, fields('ffffffffffffffff', false)],
    [`${TRACE}/18446744073709551616;o=0`, fields(undefined, false)],
    [TRACE, fields(undefined, false)],
    [`${TRACE}/x`, {}],
  ])('X-Cloud-Trace-Context %s', (header, wanted) => {
    expect(fieldsOf({ 'x-cloud-trace-context': header })).toEqual(wanted);
  });

  it('takes the header of the standard first, and the other where that cannot be read', () => {
    const other = { 'x-cloud-trace-context': `${'a'.repeat(32)}/7;o=1` };
    expect(fieldsOf({ ...other, traceparent: `00-${TRACE}-00f067aa0ba902b7-01` })).toEqual(
      fields('00f067aa0ba902b7', true),
    );
    expect(fieldsOf({ ...other, traceparent: '?' })).toMatchObject({
      'logging.googleapis.com/spanId': '0000000000000007',
    });
  });

  it('says nothing without a project or a header', () => {
    expect(traceFields({ traceparent: `00-${TRACE}-00f067aa0ba902b7-01` }, '')).toEqual({});
    expect(fieldsOf({})).toEqual({});
  });
});
