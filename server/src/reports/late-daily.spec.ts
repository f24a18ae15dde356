import { expect, it } from 'vitest';
import { LateDaily } from './late-daily.ts';

it('LateDaily tells of a table that four runs have missed, and again an hour later', () => {
  const told: number[] = [];
  const late = new LateDaily({ dailyMinutes: 15, stalenessMs: 60_000 }, (minutes) => told.push(minutes));
  const minute = (n: number) => n * 60_000;
  for (const now of [0, 60, 61, 62, 90, 122, 123]) late.answered(0, minute(now));
  expect(told).toEqual([62, 122]);
  late.answered(minute(183 - 10) * 1_000, minute(183));
  expect(told).toHaveLength(2);
});
