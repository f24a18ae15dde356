import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readConfig } from '../config.ts';
import { Problem, type ProblemCode } from '../http/problems.ts';
import { createLogger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { RequestWatch } from './request-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watching() {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>);
  const metrics = { rejected: () => undefined } as unknown as Metrics;
  const watch = new RequestWatch({
    metrics,
    log: createLogger('info', 'plain', { write }),
    config: { ...readConfig({}), logRequests: 'none' },
  });
  let id = 0;
  const fail = (code: ProblemCode) =>
    watch.problem(
      { id: String((id += 1)), method: 'POST', url: '/analytics/event' },
      new Problem(code, 'no'),
    );
  return { lines, fail };
}

it('regression: a flood of refusals is one line a second for each code, and none is uncounted', () => {
  const { lines, fail } = watching();
  for (let times = 0; times < 1_000; times += 1) {
    fail('server-busy');
    fail('storage-unavailable');
  }
  expect(lines).toMatchObject([
    { level: 40, request_id: '1', code: 'server-busy', suppressed: 0 },
    { level: 40, request_id: '2', code: 'storage-unavailable', suppressed: 0 },
  ]);
  vi.advanceTimersByTime(1_000);
  expect(lines.slice(2)).toMatchObject([
    { request_id: '1999', code: 'server-busy', suppressed: 998 },
    { request_id: '2000', code: 'storage-unavailable', suppressed: 998 },
  ]);
  vi.advanceTimersByTime(10_000);
  expect([lines.length, vi.getTimerCount()]).toEqual([4, 0]);
  fail('server-busy');
  expect(lines.at(-1)).toMatchObject({ request_id: '2001', suppressed: 0 });
});

it('logs each fault of ours as an error', () => {
  const { lines, fail } = watching();
  for (let times = 0; times < 3; times += 1) fail('internal-error');
  expect(lines.map(({ level }) => level)).toEqual([50, 50, 50]);
});
