import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Problem } from '../http/problems.ts';
import { LargeBodies, type Leave } from './large-bodies.ts';

/** Asks for a place and remembers who was let in, in order. */
function bodies(options: ConstructorParameters<typeof LargeBodies>[0]) {
  const large = new LargeBodies(options);
  const entered: string[] = [];
  const refused: string[] = [];
  const leaves = new Map<string, Leave>();
  /** What has come of each; all of it where it is not set. */
  const received = new Map<string, number>();
  const ask = (name: string) =>
    large.request({
      address: name.charAt(0),
      enter: (leave) => {
        entered.push(name);
        leaves.set(name, leave);
      },
      refuse: (problem: Problem) => refused.push(`${name} ${problem.code}`),
      received: () => received.get(name),
      evict: (problem: Problem) => {
        refused.push(`${name} ${problem.code}`);
        leaves.get(name)!();
      },
    });
  return { ask, entered, refused, received, leave: (name: string) => leaves.get(name)!() };
}

describe('LargeBodies', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('lets a few in and the others wait, first come, first served', () => {
    const { ask, entered, leave } = bodies({ placesMax: 3 });
    for (const name of ['a1', 'a2', 'a3', 'a4']) ask(name);
    expect(entered).toEqual(['a1', 'a2']);
    leave('a2');
    leave('a1');
    expect(entered).toEqual(['a1', 'a2', 'a3', 'a4']);
  });

  it('keeps a place for another address, and gives addresses that wait their turns', () => {
    const { ask, entered, leave } = bodies({ placesMax: 2, waitingMax: 100 });
    for (let n = 1; n <= 16; n += 1) ask(`a${n}`);
    for (const name of ['b1', 'b2', 'c1']) ask(name);
    expect(entered).toEqual(['a1', 'b1']);
    leave('a1');
    leave('b1');
    expect(entered.slice(2)).toEqual(['a2', 'b2']);
    leave('a2');
    leave('b2');
    // c came last and does not wait for the fourteen of a.
    expect(entered.slice(4)).toEqual(['c1', 'a3']);
  });

  it('refuses beyond what may wait; one address can have half of that', () => {
    const { ask, entered } = bodies({ placesMax: 2, waitingMax: 4 });
    for (const name of ['a1', 'a2', 'a3']) ask(name);
    expect(() => ask('a4')).toThrow(expect.objectContaining({ code: 'server-busy' }));
    for (const name of ['b1', 'b2', 'c1']) ask(name);
    expect(() => ask('d1')).toThrow(expect.objectContaining({ code: 'server-busy' }));
    expect(entered).toEqual(['a1', 'b1']);
  });

  it('refuses what waited too long, and forgets who cancels', () => {
    const { ask, entered, refused, leave } = bodies({ placesMax: 1, waitMs: 1_000 });
    ask('a1');
    ask('a2');
    ask('b1')();
    vi.advanceTimersByTime(1_000);
    expect(refused).toEqual(['a2 server-busy']);
    leave('a1');
    ask('c1');
    expect(entered).toEqual(['a1', 'c1']);
    vi.advanceTimersByTime(60_000);
    expect(refused).toEqual(['a2 server-busy']);
  });

  it('regression: while others wait, a body that hardly comes loses its place', () => {
    const { ask, entered, refused, received } = bodies({ placesMax: 2 });
    for (const name of ['a1', 'b1', 'c1']) received.set(name, 1);
    ask('a1');
    ask('b1');
    // Nobody waits.
    vi.advanceTimersByTime(5_000);
    expect(refused).toEqual([]);
    ask('c1');
    for (let times = 1; times <= 3; times += 1) {
      received.set('b1', times * 100_000);
      vi.advanceTimersByTime(1_000);
    }
    expect(refused).toEqual(['a1 request-timeout']);
    expect(entered).toEqual(['a1', 'b1', 'c1']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps the place of a body that has come whole, however long it takes', () => {
    const { ask, entered, refused } = bodies({ placesMax: 1 });
    ask('a1');
    ask('b1');
    vi.advanceTimersByTime(10_000);
    expect([entered, refused]).toEqual([['a1'], []]);
  });
});
