import { describe, expect, it } from 'vitest';
import { QueryTurns, type TurnRequest } from './query-turns.ts';

const LIMITS = {
  rollup: { running: 1 },
  rows: { running: 2 },
};

/** Turns with small limits, and work that ends when it is told to. */
function turns() {
  const limits = (runningMax: number, runningOfOneMax: number) => ({
    runningMax,
    runningOfOneMax,
    waitingMax: 6,
    waitingOfOneMax: 4,
  });
  const queue = new QueryTurns({
    rollup: limits(LIMITS.rollup.running, 1),
    rows: limits(LIMITS.rows.running, 1),
  });
  const running: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = (
    name: string,
    { asker = name, weight = 'rows', signal = new AbortController().signal }: Partial<TurnRequest> = {},
  ) =>
    queue.run({ weight, asker, signal }, async () => {
      running.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      return name;
    });
  const end = async (name: string) => {
    ends.get(name)!();
    await new Promise(setImmediate);
  };
  return { ask, end, running, queue };
}

const settled = () => new Promise(setImmediate);

describe('QueryTurns', () => {
  it('regression: a read from rollups does not wait for those that read rows', async () => {
    const { ask, running } = turns();
    void ask('a');
    void ask('b');
    void ask('c');
    void ask('quick', { weight: 'rollup' });
    await settled();
    expect(running).toEqual(['a', 'b', 'quick']);
  });

  it('regression: who runs alone waits for those that run, keeps others off, and lets them go on', async () => {
    const { ask, end, running, queue } = turns();
    void ask('a');
    void ask('b');
    let finish!: () => void;
    const signal = new AbortController().signal;
    const alone = queue.runAlone({ weight: 'rows', asker: 'copy', signal }, () => {
      running.push('copy');
      return new Promise<void>((resolve) => (finish = resolve));
    });
    await settled();
    await end('a');
    void ask('c');
    await settled();
    expect(running).toEqual(['a', 'b']);
    await end('b');
    void ask('d');
    await settled();
    expect(running).toEqual(['a', 'b', 'copy']);
    finish();
    await alone;
    await settled();
    expect(running).toEqual(['a', 'b', 'copy', 'c', 'd']);
  });

  it('regression: who runs alone waits where the queue is full', async () => {
    const { ask, end, queue } = turns();
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) ask(name).catch(() => undefined);
    await expect(ask('i')).rejects.toMatchObject({ code: 'busy' });
    const signal = new AbortController().signal;
    const alone = queue.runAlone({ weight: 'rows', asker: 'copy', signal }, () => Promise.resolve('copied'));
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      await settled();
      await end(name);
    }
    expect(await alone).toBe('copied');
  });

  it('never gives one asker all places', async () => {
    const { ask, end, running } = turns();
    void ask('a1', { asker: 'a' });
    void ask('a2', { asker: 'a' });
    void ask('b1', { asker: 'b' });
    await settled();
    expect(running).toEqual(['a1', 'b1']);
    await end('b1');
    expect(running).toEqual(['a1', 'b1']);
    await end('a1');
    expect(running).toEqual(['a1', 'b1', 'a2']);
  });

  it('serves the asker that was served longest ago first', async () => {
    const { ask, end, running } = turns();
    for (const name of ['a1', 'b1', 'a2', 'b2', 'a3']) void ask(name, { asker: name[0]! });
    void ask('c1', { asker: 'c' });
    await settled();
    await end('a1');
    expect(running).toEqual(['a1', 'b1', 'c1']);
    await end('b1');
    expect(running).toEqual(['a1', 'b1', 'c1', 'a2']);
  });

  it('refuses at once what is beyond its limits, by asker and in all', async () => {
    const { ask } = turns();
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void ask(name, { asker: 'a' });
    await expect(ask('a6', { asker: 'a' })).rejects.toMatchObject({ code: 'busy' });
    void ask('b1', { asker: 'b' });
    for (const name of ['b2', 'b3']) void ask(name, { asker: 'b' });
    await expect(ask('c1', { asker: 'c' })).rejects.toMatchObject({ code: 'busy' });
  });

  it('regression: an asker who goes away gives its place in the queue up at once', async () => {
    const { ask, end, running } = turns();
    const asker = new AbortController();
    void ask('a');
    void ask('b');
    const given = ask('c', { signal: asker.signal });
    const kept = ask('d');
    asker.abort();
    await expect(given).rejects.toMatchObject({ code: 'timeout' });
    await end('a');
    expect(running).toEqual(['a', 'b', 'd']);
    await end('d');
    expect(await kept).toBe('d');
  });

  it('runs nothing for an asker who is gone already', async () => {
    const { ask, running } = turns();
    await expect(ask('a', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'timeout' });
    expect(running).toEqual([]);
  });

  it('frees a place whose work fails', async () => {
    const queue = new QueryTurns();
    const turn = { weight: 'rows', asker: 'a', signal: new AbortController().signal } as const;
    for (let n = 0; n < 5; n += 1) {
      await expect(queue.run(turn, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    }
    expect(await queue.run(turn, () => Promise.resolve(1))).toBe(1);
  });
});
