import { expect, it } from 'vitest';
import type { Answer } from '../warehouse/query-cache.ts';
import { RequestSource } from './request-source.ts';
import type { Reports } from './source.ts';

async function asked(...answers: Answer[]): Promise<RequestSource> {
  const ask = () => Promise.resolve(answers.shift()!);
  const reports = { ask } as unknown as Reports;
  const source = new RequestSource(reports, { asker: '', signal: AbortSignal.timeout(1_000) });
  for (let left = answers.length; left > 0; left -= 1) await source.query({ sql: '', params: {} });
  return source;
}

it.each([
  [[], undefined, undefined],
  [[{ rows: [] }], undefined, undefined],
  [[{ rows: [], asOfUs: 5_000_000, bytesBilled: 10 }], 5_000, 10],
  [
    [
      { rows: [], asOfUs: 5_000_000, bytesBilled: 10 },
      { rows: [], asOfUs: 3_000_000, bytesBilled: 0 },
    ],
    3_000,
    10,
  ],
  [[{ rows: [], asOfUs: 5_000_000, bytesBilled: 10 }, { rows: [] }], undefined, undefined],
])('RequestSource says of %j how far they reach together, and what they cost', async (answers, ms, bytes) => {
  const source = await asked(...answers);
  expect(source.asOf?.getTime()).toBe(ms);
  expect(source.bytesBilled).toBe(bytes);
});
