import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRecords } from '../src/cli/import-file.ts';
import type { Event } from '../src/event/event.ts';
import { EventLines } from '../src/event/lines.ts';
import { linesOf } from '../src/warehouse/conformance.ts';
import { EXPORT_COLUMNS } from '../src/warehouse/duckdb/export.ts';
import { exportPath } from '../src/warehouse/duckdb/exports-directory.ts';
import { DuckdbWarehouse } from '../src/warehouse/duckdb/warehouse.ts';

/* A CSV that is exported and imported again: every text comes back, and none is a formula in between. */

/** Texts that spreadsheets and CSV take for something else. */
const text = fc
  .array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom("'", '=', '+', '-', '@', '\t', '\r', '\n', '"', ',', ' ', '\\'),
      },
      { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 3, unit: 'binary' }) },
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.join('').toWellFormed().replaceAll('\0', ''))
  .filter((value) => value !== '');

const empty = fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: fc.constant('') });

const event: fc.Arbitrary<Event> = fc
  .record(
    { event_name: text, user_id: text, session_id: text, page: empty, country: empty, city: empty },
    { requiredKeys: ['event_name', 'user_id', 'session_id'] },
  )
  .map((texts) => ({ type: 'event', event_time: 1_638_352_800.25, ...texts }));

describe('the CSV of an export', () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-csv-'));
  const warehouse = new DuckdbWarehouse({
    directory,
    timezone: 'UTC',
    memoryBytesMax: 256 << 20,
    threads: 1,
  });
  beforeAll(() => warehouse.open());
  afterAll(async () => {
    await warehouse.close();
    rmSync(directory, { recursive: true, force: true });
  });

  let end = 0;
  /** Stores events at a moment of their own, exports them, and reads what the file says. */
  async function roundTrip(events: readonly Event[]) {
    const sinceUs = 1_638_352_800_000_000 + end * 1_000_000;
    const stored = events.map((one, index) => ({
      ...one,
      event_id: `e${String(index).padStart(5, '0')}`,
      event_time: sinceUs / 1e6 + 0.25,
    }));
    // An id of its own each time.
    const ids = stored.map((one) => ({ ...one, event_id: `${one.event_id}-${end}` }));
    end += 1;
    await warehouse.insert({
      lines: EventLines.of(linesOf(ids)),
      deadLetters: [],
      position: { source: 's', end },
      nowUs: 1,
    });
    const path = exportPath(directory, 'slice.csv');
    await warehouse.exportTo({ format: 'csv', sinceUs, beforeUs: sinceUs + 1_000_000, path });
    const csv = readFileSync(path, 'utf8');
    rmSync(path);
    const file = join(directory, 'events.csv');
    writeFileSync(file, `${EXPORT_COLUMNS.join(',')}\n${csv}`);
    const read = await Array.fromAsync(readRecords(file), ({ value }) => value);
    return { sent: ids, csv, read };
  }

  it('comes back as it was, and holds no cell that a spreadsheet runs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 20 }), async (events) => {
        const { sent, csv, read } = await roundTrip(events);
        expect(read).toEqual(sent);
        // The first character of every cell, behind the quote that CSV may put there.
        const firsts = [...csv.matchAll(/(?:^|,|\n)(?:"((?:[^"]|"")*)"|([^,\n"]*))(?=,|\n|$)/g)].map(
          ([, quoted, plain]) => (quoted ?? plain ?? '')[0],
        );
        expect(firsts.filter((first) => first !== undefined && '=+-@\t\r'.includes(first))).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['=1+1', "'=1+1"],
    ["'=1+1", "''=1+1"],
    ["''@x", "'''@x"],
    ['\tx', "'\tx"],
    ["it's", "it's"],
    ["'quoted'", "'quoted'"],
    ['a=b', 'a=b'],
  ])('regression: %j is the cell %j', async (value, cell) => {
    const { csv, sent, read } = await roundTrip([
      { type: 'event', event_name: value, user_id: 'u', session_id: 's', event_time: 0 },
    ]);
    expect(csv.split(',')[2]).toBe(cell);
    expect(read).toEqual(sent);
  });

  it('regression: an empty text comes back as one, and an absent one does not', async () => {
    const { csv, sent, read } = await roundTrip([
      { type: 'event', event_name: 'n', user_id: 'u', session_id: 's', event_time: 0, page: '', city: '' },
    ]);
    expect(csv).toMatch(/,"",,,"",\n$/);
    expect(read).toEqual(sent);
  });

  it('leaves our own numbers as they are', async () => {
    const before1970: Event = {
      type: 'event',
      event_name: 'n',
      user_id: 'u',
      session_id: 's',
      event_time: -1.5,
    };
    await warehouse.insert({
      lines: EventLines.of(linesOf([before1970])),
      deadLetters: [],
      position: { source: 'old', end: 1 },
      nowUs: 1,
    });
    const path = exportPath(directory, 'slice.csv');
    await warehouse.exportTo({ format: 'csv', beforeUs: 0, path });
    expect(readFileSync(path, 'utf8').split(',')[5]).toBe('-1.5');
  });
});
