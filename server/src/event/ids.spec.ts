import { randomFillSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { EventIds } from './ids.ts';

describe('EventIds', () => {
  it('makes UUIDs of version 7 that hold the time, and none twice', () => {
    const ids = new EventIds((bytes) => randomFillSync(bytes));
    const unixMs = Date.UTC(2026, 1, 3, 4, 5, 6, 789);
    const made = Array.from({ length: 2_000 }, () => ids.next(unixMs));
    for (const id of made) {
      expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
      expect(parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(unixMs);
    }
    expect(new Set(made).size).toBe(made.length);
  });

  it('writes the same as ASCII, where it is told to', () => {
    const fixed = () => new EventIds((bytes) => bytes.fill(0xa5));
    const into = Buffer.alloc(40, '.');
    expect(fixed().write(1, into, 2)).toBe(38);
    expect(into.toString()).toBe(`..${fixed().next(1)}..`);
  });
});
