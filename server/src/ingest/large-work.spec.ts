import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LargeWork } from './large-work.ts';

describe('LargeWork', () => {
  let done: string[];
  const work = (name: string, ms: number) => () =>
    new Promise<string>((resolve) => setTimeout(() => resolve((done.push(name), name)), ms));

  beforeEach(() => {
    done = [];
    vi.useFakeTimers();
  });
  afterEach(() => void vi.useRealTimers());

  it('does one at a time, without a rest where nothing small comes', async () => {
    const large = new LargeWork();
    for (const name of ['a', 'b', 'c']) void large.run(work(name, 100));
    await vi.advanceTimersByTimeAsync(150);
    expect(done).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(155);
    expect(done).toEqual(['a', 'b', 'c']);
  });

  it('rests three times as long as it worked while small ones come; nobody waits for a rest', async () => {
    const large = new LargeWork();
    large.small();
    const first = large.run(work('a', 100));
    void large.run(work('b', 100));
    await vi.advanceTimersByTimeAsync(100);
    await expect(first).resolves.toBe('a');
    await vi.advanceTimersByTimeAsync(390);
    expect(done).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(20);
    expect(done).toEqual(['a', 'b']);
  });

  it('rests for a second at most, and goes on after what fails', async () => {
    const large = new LargeWork();
    const failed = large.run(() => Promise.reject(new Error('x')));
    await expect(failed).rejects.toThrow('x');
    void large.run(work('a', 5_000));
    await vi.advanceTimersByTimeAsync(4_990);
    large.small();
    void large.run(work('b', 0));
    await vi.advanceTimersByTimeAsync(1_005);
    expect(done).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(20);
    expect(done).toEqual(['a', 'b']);
  });
});
