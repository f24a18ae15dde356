import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Steps, Turns } from './turns.ts';

const MIB = 1_024 * 1_024;

/** Work of so many steps, of which each takes some time and is noted. */
function* work(name: string, steps: number, notes: string[], ms = 0): Steps<string> {
  for (let step = 0; step < steps; step += 1) {
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs);
    notes.push(name);
    yield;
  }
  return name;
}

describe('Turns', () => {
  it('does at once what is done within a slice', async () => {
    const notes: string[] = [];
    const done = new Turns().run(work('a', 3, notes), 100);
    expect(notes).toEqual(['a', 'a', 'a']);
    expect(await done).toBe('a');
  });

  it('leaves the thread to others after a slice', async () => {
    const notes: string[] = [];
    const done = new Turns().run(work('a', 10, notes, 4), MIB);
    expect(notes.length).toBeLessThan(4);
    await nextTurn();
    notes.push('other');
    await done;
    expect(notes.indexOf('other')).toBeLessThan(notes.length - 1);
  });

  it('gives all work a step in turn, so that what is short does not wait for what is long', async () => {
    const notes: string[] = [];
    const turns = new Turns();
    const long = turns.run(work('long', 40, notes, 1), 10 * MIB);
    const short = turns.run(work('short', 3, notes), 100).then(() => notes.push('done'));
    await Promise.all([long, short]);
    const from = notes.indexOf('short');
    expect(notes.slice(from, from + 5)).toEqual(['short', 'long', 'short', 'long', 'short']);
    expect(notes.indexOf('done')).toBeLessThan(30);
  });

  it('has at most four pieces of large work under way', async () => {
    const notes: string[] = [];
    const turns = new Turns();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    await Promise.all(names.map((name) => turns.run(work(name, 20, notes, 1), 10 * MIB)));
    const first = (name: string) => notes.indexOf(name);
    const firstEnd = Math.min(...['a', 'b', 'c', 'd'].map((name) => notes.lastIndexOf(name)));
    expect(Math.max(...['a', 'b', 'c', 'd'].map(first))).toBeLessThan(firstEnd);
    expect(first('e')).toBeGreaterThan(firstEnd);
  });

  it('rejects with what the work throws, and goes on with the rest', async () => {
    const turns = new Turns();
    const notes: string[] = [];
    const bad = function* (): Steps<string> {
      yield;
      throw new Error('bad');
    };
    const results = await Promise.allSettled([turns.run(bad(), 1), turns.run(work('a', 2, notes), 1)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  });

  it('refuses work beyond its limit in bytes, until some of it is done', async () => {
    const notes: string[] = [];
    const turns = new Turns();
    const some = Array.from({ length: 12 }, (_, n) => turns.run(work(String(n), 20, notes, 1), 10 * MIB));
    expect(() => turns.run(work('more', 1, notes), 10 * MIB)).toThrow(
      expect.objectContaining({ code: 'server-busy' }) as Error,
    );
    await Promise.all(some);
    expect(await turns.run(work('more', 1, notes), 10 * MIB)).toBe('more');
  });
});
