import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storeManyEvents } from '../../../test/fixtures/many-events.ts';
import type { ExportSlice } from '../contract.ts';
import { sliceStarts } from './export.ts';
import { exportPath } from './exports-directory.ts';
import { DuckdbWarehouse } from './warehouse.ts';

const EVENTS = 60_000;
const DAYS = 2_000;

interface ExportedEvent {
  readonly event_id: string;
  readonly event_time: number;
}

describe('DuckdbWarehouse.exportTo()', () => {
  let directory: string;
  let warehouse: DuckdbWarehouse;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'daybook-export-'));
    await storeManyEvents(directory, { events: EVENTS, days: DAYS, users: 100, sessions: 100 });
    warehouse = new DuckdbWarehouse({ directory, timezone: 'UTC', memoryBytesMax: 256 << 20, threads: 2 });
    await warehouse.open();
  });
  afterEach(async () => {
    await warehouse.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const exported = async (slice: Omit<ExportSlice, 'path'>) => {
    const path = exportPath(directory, 'slice');
    await warehouse.exportTo({ ...slice, path });
    const text = readFileSync(path, 'utf8');
    rmSync(path);
    return text;
  };
  const events = (text: string) =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as ExportedEvent);
  const inOrder = (list: readonly ExportedEvent[]) =>
    list.every((event, index) => {
      const before = list[index - 1] ?? { event_time: 0, event_id: '' };
      const later = event.event_time > before.event_time;
      return later || (event.event_time === before.event_time && event.event_id > before.event_id);
    });

  it('writes every event once, in order of event_time and event_id', async () => {
    const list = events(await exported({ format: 'ndjson' }));
    expect(inOrder(list)).toBe(true);
    expect(new Set(list.map(({ event_id }) => event_id)).size).toBe(EVENTS);
    const csv = (await exported({ format: 'csv' })).split('\n').slice(0, -1);
    expect(csv.map((line) => line.split(',')[1])).toEqual(list.map(({ event_id }) => event_id));
  });

  it('the slices of a range are the range, in order, each about as large as may be', async () => {
    const range = { from: '2001-01-01', to: '2003-12-31' };
    const whole = events(await exported({ format: 'ndjson', ...range }));
    const bytesMax = 1_000_000;
    const rows = await warehouse.query(sliceStarts(range, 'UTC', bytesMax), { timeoutMs: 10_000 });
    const cuts = rows.slice(1).map((row) => Number(row['since_us']));
    expect(cuts.length).toBeGreaterThan(4);
    const slices: ExportedEvent[][] = [];
    for (const [index, sinceUs] of [undefined, ...cuts].entries()) {
      const bounds = {
        ...(sinceUs === undefined ? {} : { sinceUs }),
        ...(cuts[index] === undefined ? {} : { beforeUs: cuts[index] }),
      };
      slices.push(events(await exported({ format: 'ndjson', ...range, ...bounds })));
    }
    expect(slices.flat()).toEqual(whole);
    const sizes = slices.map((slice) => slice.length);
    expect(Math.max(...sizes)).toBeLessThan((1.1 * bytesMax) / 200);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(bytesMax / 400);
  });

  it('stops when its signal fires, and leaves no file', async () => {
    await warehouse.close();
    await storeManyEvents(directory, { events: 1_000_000, days: 10, users: 100, sessions: 100 });
    await warehouse.open();
    const stop = new AbortController();
    const path = exportPath(directory, 'slice');
    const asked = warehouse.exportTo({ format: 'csv', path }, { signal: stop.signal });
    for (let tries = 0; !existsSync(path); tries += 1) {
      expect(tries).toBeLessThan(1_000);
      await sleep(5);
    }
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'timeout' });
    expect(readdirSync(join(directory, 'exports'))).toEqual([]);
  });

  it('writes in its own directory alone, which only its owner can read', async () => {
    for (const path of [
      join(tmpdir(), 'slice'),
      join(directory, 'daybook.duckdb'),
      join(directory, 'exports/../slice'),
    ]) {
      await expect(warehouse.exportTo({ format: 'csv', path })).rejects.toMatchObject({ code: 'rejected' });
    }
    expect((statSync(join(directory, 'exports')).mode & 0o777).toString(8)).toBe('700');
    const link = join(directory, 'link');
    symlinkSync(directory, link);
    await warehouse.exportTo({ format: 'csv', path: exportPath(link, 'slice') });
    expect(readdirSync(join(directory, 'exports'))).toEqual(['slice']);
  });

  it('removes slices whose reader is gone: old ones at the next export, all at a start', async () => {
    mkdirSync(join(directory, 'exports'));
    const old = exportPath(directory, 'old');
    writeFileSync(old, '');
    writeFileSync(exportPath(directory, 'new'), '');
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(old, longAgo, longAgo);
    await exported({ format: 'csv', from: '2000-01-02', to: '2000-01-02' });
    expect(readdirSync(join(directory, 'exports'))).toEqual(['new']);
    await warehouse.close();
    await warehouse.open();
    expect(existsSync(join(directory, 'exports'))).toBe(false);
  });
});
