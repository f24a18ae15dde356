import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryError } from './data-directory.ts';
import { beginSwap, finishSwap, isSwapping, RESTORING_DIRECTORY, SWAP_FILE, type Swap } from './swap.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-swap-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Every file below the directory, with its text. */
function tree(): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    names
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [path.slice(directory.length + 1), readFileSync(path, 'utf8')] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function lay(files: Readonly<Record<string, string>>): void {
  rmSync(directory, { recursive: true, force: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

/** What is swapped: everything, with what was there or without, or the warehouse beside a journal that stays. */
const CASES: Readonly<
  Record<string, { swap: Swap; before: Record<string, string>; after: Record<string, string> }>
> = {
  'all of it': {
    swap: {
      aside: 'replaced-1',
      move: ['journal', 'daybook.duckdb', 'daybook.duckdb.wal', 'imports'],
      place: ['journal', 'daybook.duckdb'],
    },
    before: {
      'daybook.duckdb': 'old',
      'daybook.duckdb.wal': 'old wal',
      'imports/a.json': 'old note',
      'journal/1.log': 'old 1',
      'journal/acked': 'old acked',
      other: 'stays',
      'restoring/daybook.duckdb': 'new',
      'restoring/journal/2.log': 'new 2',
      'restoring/journal/acked': 'new acked',
    },
    after: {
      'daybook.duckdb': 'new',
      'journal/2.log': 'new 2',
      'journal/acked': 'new acked',
      other: 'stays',
      'replaced-1/daybook.duckdb': 'old',
      'replaced-1/daybook.duckdb.wal': 'old wal',
      'replaced-1/imports/a.json': 'old note',
      'replaced-1/journal/1.log': 'old 1',
      'replaced-1/journal/acked': 'old acked',
    },
  },
  'into an empty directory': {
    swap: { aside: 'replaced-1', move: [], place: ['journal', 'daybook.duckdb'] },
    before: { 'restoring/daybook.duckdb': 'new', 'restoring/journal/acked': 'new acked' },
    after: { 'daybook.duckdb': 'new', 'journal/acked': 'new acked' },
  },
  'beside a journal': {
    swap: {
      aside: 'replaced-1',
      move: ['imports'],
      place: ['journal/1.log', 'journal/acked', 'daybook.duckdb'],
    },
    before: {
      'imports/a.json': 'old note',
      'journal/2.log': 'kept 2',
      'journal/acked': 'old acked',
      'restoring/daybook.duckdb': 'new',
      'restoring/journal/1.log': 'new 1',
      'restoring/journal/2.log': 'new 2',
      'restoring/journal/acked': 'new acked',
    },
    after: {
      'daybook.duckdb': 'new',
      'journal/1.log': 'new 1',
      'journal/2.log': 'kept 2',
      'journal/acked': 'new acked',
      'replaced-1/imports/a.json': 'old note',
    },
  },
};

class Killed extends Error {}

/** Stops at the n-th change. */
function stopAt(n: number): { watch: () => void; readonly changes: number } {
  let changes = 0;
  return {
    watch: () => {
      if ((changes += 1) > n) throw new Killed();
    },
    get changes() {
      return changes;
    },
  };
}

describe('a swap', () => {
  it.each(Object.entries(CASES))(
    'regression: of %s, stopped before any change, is not begun or gets to its end',
    (_, { swap, before, after }) => {
      lay(before);
      const whole = stopAt(Infinity);
      beginSwap(directory, swap, whole.watch);
      finishSwap(directory, whole.watch);
      expect(tree()).toEqual(after);
      expect(whole.changes).toBeGreaterThan(3);
      for (let first = 0; first < whole.changes; first += 1) {
        // The one that goes on may be stopped as well, anywhere.
        for (let second = 0; second <= whole.changes; second += 1) {
          lay(before);
          const stop = stopAt(first);
          expect(() => {
            beginSwap(directory, swap, stop.watch);
            finishSwap(directory, stop.watch);
          }).toThrow(Killed);
          if (!isSwapping(directory)) {
            const { [`${SWAP_FILE}.new`]: _unnamed, ...left } = tree();
            expect(left).toEqual(before);
            break;
          }
          try {
            finishSwap(directory, stopAt(second).watch);
          } catch (error) {
            expect(error).toBeInstanceOf(Killed);
          }
          finishSwap(directory);
          expect(tree(), `stopped at ${first}, then at ${second}`).toEqual(after);
          expect(existsSync(join(directory, RESTORING_DIRECTORY))).toBe(false);
        }
      }
    },
  );

  it.each(Object.entries(CASES))(
    'regression: of %s says so where what comes is gone, and leaves what is there',
    (_, { swap, before }) => {
      const whole = stopAt(Infinity);
      lay(before);
      beginSwap(directory, swap, whole.watch);
      const begun = whole.changes;
      finishSwap(directory, whole.watch);
      // The last two changes are to remove what is left.
      for (let changes = begun; changes < whole.changes - 2; changes += 1) {
        lay(before);
        const stop = stopAt(changes);
        expect(() => {
          beginSwap(directory, swap, stop.watch);
          finishSwap(directory, stop.watch);
        }).toThrow(Killed);
        rmSync(join(directory, RESTORING_DIRECTORY), { recursive: true });
        const left = tree();
        expect(() => finishSwap(directory), `after ${changes}`).toThrow(DirectoryError);
        expect(tree(), `after ${changes}`).toEqual(left);
      }
    },
  );

  it('is none where no marker is', () => {
    expect(finishSwap(directory)).toBeUndefined();
    expect(finishSwap(join(directory, 'nowhere'))).toBeUndefined();
  });

  it.each(['', '{}', '{"aside":"../x","move":[],"place":[]}', '{"aside":"a","move":["/etc"],"place":[]}'])(
    'says what to do about a marker that is %j',
    (text) => {
      writeFileSync(join(directory, SWAP_FILE), text);
      expect(() => finishSwap(directory)).toThrow(DirectoryError);
      expect(() => finishSwap(directory)).toThrow('restore again with --force');
      expect(tree()).toEqual({ [SWAP_FILE]: text });
    },
  );
});
