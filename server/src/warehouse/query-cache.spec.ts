import { describe, expect, it } from 'vitest';
import type { Row } from './contract.ts';
import { QueryCache } from './query-cache.ts';

const statement = (n: number) => ({ sql: 'SELECT $n', params: { n } });

/** Counts its runs; each gives one row with the count. */
function counted(rows = 1) {
  const runs = { count: 0 };
  const run = () => {
    runs.count += 1;
    return Promise.resolve(Array.from({ length: rows }, (): Row => ({ run: runs.count })));
  };
  return { runs, run };
}

describe('QueryCache', () => {
  it('runs a statement once until it is cleared', async () => {
    const cache = new QueryCache();
    const { run } = counted();
    expect(await cache.get(statement(1), run)).toEqual([{ run: 1 }]);
    expect(await cache.get(statement(1), run)).toEqual([{ run: 1 }]);
    cache.clear();
    expect(await cache.get(statement(1), run)).toEqual([{ run: 2 }]);
  });

  it('tells parameters apart', async () => {
    const cache = new QueryCache();
    const { run } = counted();
    await cache.get(statement(1), run);
    expect(await cache.get(statement(2), run)).toEqual([{ run: 2 }]);
  });

  it('shares a run among those who ask meanwhile', async () => {
    const cache = new QueryCache();
    const { runs, run } = counted();
    await Promise.all([cache.get(statement(1), run), cache.get(statement(1), run)]);
    expect(runs.count).toBe(1);
  });

  it('does not keep a result that was under way when it was cleared', async () => {
    const cache = new QueryCache();
    const { run } = counted();
    const early = cache.get(statement(1), run);
    cache.clear();
    await early;
    expect(await cache.get(statement(1), run)).toEqual([{ run: 2 }]);
  });

  it('runs a statement again when its result is too old', async () => {
    let nowMs = 0;
    const cache = new QueryCache(60_000, () => nowMs);
    const { run } = counted();
    expect(await cache.get(statement(1), run)).toEqual([{ run: 1 }]);
    nowMs = 59_999;
    expect(await cache.get(statement(1), run)).toEqual([{ run: 1 }]);
    nowMs = 60_000;
    expect(await cache.get(statement(1), run)).toEqual([{ run: 2 }]);
  });

  it('keeps no failure', async () => {
    const cache = new QueryCache();
    const { run } = counted();
    await expect(cache.get(statement(1), () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(await cache.get(statement(1), run)).toEqual([{ run: 1 }]);
  });

  it('is bounded in entries and in rows', async () => {
    const cache = new QueryCache();
    const { runs, run } = counted();
    for (let n = 0; n < 65; n += 1) await cache.get(statement(n), run);
    await cache.get(statement(64), run);
    expect(runs.count).toBe(65);
    await cache.get(statement(0), run);
    expect(runs.count).toBe(66);
    const large = counted(10_001);
    await cache.get(statement(100), large.run);
    await cache.get(statement(100), large.run);
    expect(large.runs.count).toBe(2);
  });
});
