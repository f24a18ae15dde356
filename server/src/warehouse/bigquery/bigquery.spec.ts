import { describe, expect, it } from 'vitest';
import { BIGQUERY_REASONS, bigqueryError } from './errors.ts';
import { exportLines } from './export.ts';
import { rowsOf } from './rows.ts';

describe('bigqueryError()', () => {
  it.each(Object.entries(BIGQUERY_REASONS))('reason %s is %s', (reason, code) => {
    const error = Object.assign(new Error('why'), { code: 400, errors: [{ reason }] });
    expect(bigqueryError(error)).toMatchObject({ name: 'StoreError', code });
  });

  it.each([
    [{ message: 'The query did not complete before 100ms' }, 'timeout'],
    [{ message: 'connect ECONNREFUSED' }, 'unavailable'],
    [{ message: 'Syntax error', code: 400 }, 'rejected'],
    [{ message: 'who knows', code: 503 }, 'unavailable'],
  ])('%o is %s', (error, code) => {
    expect(bigqueryError(error)).toMatchObject({ code });
  });
});

describe('rowsOf()', () => {
  it('unwraps days and whole numbers, and keeps those beyond 2^53', () => {
    const rows = [
      {
        day: { value: '2021-12-01' },
        small: { value: '5', type: 'BigQueryInt' },
        large: { value: '9007199254740993', type: 'BigQueryInt' },
        none: null,
      },
    ];
    expect(rowsOf(rows)).toEqual([
      { day: '2021-12-01', small: 5, large: 9_007_199_254_740_993n, none: null },
    ]);
  });

  it('refuses what a report has no type for', () => {
    expect(() => rowsOf([{ list: [1] }])).toThrow('cast it in the statement');
  });
});

describe('exportLines()', () => {
  it('gives back the event as it was sent, without absent fields', async () => {
    async function* rows() {
      yield {
        event_id: 'e',
        event_name: 'n',
        user_id: 'u',
        session_id: 's',
        event_time_us: 1_638_352_800_250_000,
        page: null,
        properties: '{"a":[1]}',
      };
      await Promise.resolve();
    }
    const lines = await Array.fromAsync(exportLines(rows()));
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      {
        type: 'event',
        event_id: 'e',
        event_name: 'n',
        user_id: 'u',
        session_id: 's',
        event_time: 1_638_352_800.25,
        properties: { a: [1] },
      },
    ]);
  });
});
