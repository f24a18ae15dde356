import { describe, expect, it } from 'vitest';
import { QueryCache, type Answer } from './query-cache.ts';

const statement = (n: number) => ({ sql: 'SELECT $n', params: { n } });

/** Counts its runs; each gives one row with the count. */
function counted(rows = 1) {
  const runs = { count: 0 };
  const run = (): Promise<Answer> => {
    runs.count += 1;
    return Promise.resolve({ rows: Array.from({ length: rows }, () => ({ run: runs.count })) });
  };
  return { runs, run };
}

describe('QueryCache', () => {
  it('runs a statement once until it is cleared', async () => {
    const cache = new QueryCache();
    const { run } = counted();
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 1 }] });
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 1 }] });
    cache.clear();
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 2 }] });
  });

  it('tells parameters apart', async () => {
    const cache = new QueryCache();
    const { run } = counted();
    await cache.get(statement(1), run);
    expect(await cache.get(statement(2), run)).toEqual({ rows: [{ run: 2 }] });
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
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 2 }] });
  });

  it('runs a statement again when its result is too old', async () => {
    let nowMs = 0;
    const cache = new QueryCache(60_000, () => nowMs);
    const { run } = counted();
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 1 }] });
    nowMs = 59_999;
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 1 }] });
    nowMs = 60_000;
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 2 }] });
  });

  it('regression: joins nobody to a run that has less than half of its time left', async () => {
    let nowMs = 0;
    const cache = new QueryCache(Infinity, () => nowMs);
    let end!: (answer: Answer) => void;
    const slow = cache.get(statement(1), () => new Promise<Answer>((resolve) => (end = resolve)), {
      timeoutMs: 1_000,
    });
    nowMs = 500;
    const { runs, run } = counted();
    const joined = cache.get(statement(1), run, { timeoutMs: 1_000 });
    expect(runs.count).toBe(0);
    nowMs = 501;
    expect(await cache.get(statement(1), run, { timeoutMs: 1_000 })).toEqual({ rows: [{ run: 1 }] });
    end({ rows: [] });
    expect(await Promise.all([slow, joined])).toEqual([{ rows: [] }, { rows: [] }]);
    nowMs = 100_000;
    await cache.get(statement(1), run, { timeoutMs: 1_000 });
    expect(runs.count).toBe(1);
  });

  it('keeps no failure', async () => {
    const cache = new QueryCache();
    const { run } = counted();
    await expect(cache.get(statement(1), () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(await cache.get(statement(1), run)).toEqual({ rows: [{ run: 1 }] });
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

  describe('when askers go away', () => {
    /** A run that ends when it is stopped, and its signal. */
    function lasting() {
      const signals: AbortSignal[] = [];
      const run = (signal: AbortSignal) =>
        new Promise<Answer>((_, reject) => {
          signals.push(signal);
          signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
        });
      return { signals, run };
    }

    it('regression: stops a run that nobody waits for', async () => {
      const cache = new QueryCache();
      const { signals, run } = lasting();
      const asker = new AbortController();
      const asked = cache.get(statement(1), run, { signal: asker.signal });
      asker.abort();
      await expect(asked).rejects.toMatchObject({ code: 'timeout' });
      expect(signals[0]?.aborted).toBe(true);
    });

    it('lets a shared run go on for those who still wait', async () => {
      const cache = new QueryCache();
      const { signals, run } = lasting();
      const [first, second] = [new AbortController(), new AbortController()];
      const asked = [
        cache.get(statement(1), run, { signal: first.signal }),
        cache.get(statement(1), run, { signal: second.signal }),
      ];
      first.abort();
      await expect(asked[0]).rejects.toMatchObject({ code: 'timeout' });
      expect(signals.map((signal) => signal.aborted)).toEqual([false]);
      second.abort();
      await expect(asked[1]).rejects.toMatchObject({ code: 'timeout' });
      expect(signals.map((signal) => signal.aborted)).toEqual([true]);
    });

    it('never stops a run that somebody without a signal waits for', async () => {
      const cache = new QueryCache();
      const { signals, run } = lasting();
      const asker = new AbortController();
      cache.get(statement(1), run).catch(() => undefined);
      const asked = cache.get(statement(1), run, { signal: asker.signal });
      asker.abort();
      await expect(asked).rejects.toMatchObject({ code: 'timeout' });
      expect(signals[0]?.aborted).toBe(false);
    });

    it('joins nobody to a run that is being stopped', async () => {
      const cache = new QueryCache();
      const { run } = lasting();
      const asker = new AbortController();
      const asked = cache.get(statement(1), run, { signal: asker.signal });
      asker.abort();
      expect(await cache.get(statement(1), counted().run)).toEqual({ rows: [{ run: 1 }] });
      await expect(asked).rejects.toMatchObject({ code: 'timeout' });
    });

    it('keeps a result whose asker went away after it came', async () => {
      const cache = new QueryCache();
      const { runs, run } = counted();
      const asker = new AbortController();
      await cache.get(statement(1), run, { signal: asker.signal });
      asker.abort();
      await cache.get(statement(1), run);
      expect(runs.count).toBe(1);
    });

    it('starts nothing for an asker who is gone already', async () => {
      const { runs, run } = counted();
      await expect(
        new QueryCache().get(statement(1), run, { signal: AbortSignal.abort() }),
      ).rejects.toMatchObject({
        code: 'timeout',
      });
      expect(runs.count).toBe(0);
    });
  });
});
