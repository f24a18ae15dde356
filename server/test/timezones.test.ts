import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkTimezones } from '../src/cli/doctor-timezones.ts';
import { nodeZoneinfo } from '../src/cli/node-zoneinfo.ts';
import { DirectoryError, makeDataDirectory } from '../src/control/data-directory.ts';
import { EVENT_EXAMPLE } from '../src/event/schema.ts';
import { DuckdbWarehouse } from '../src/warehouse/duckdb/warehouse.ts';
import { TIMEZONE_VERSION, ZONEINFO } from '../src/warehouse/duckdb/timezone-data.ts';
import { timezoneFiles, timezoneOffsets } from '../src/warehouse/duckdb/timezones.ts';
import { killServers, startServer } from './e2e/server-process.ts';

describe('the timezones that DuckDB is given', () => {
  it('are those of the pinned Node (npm run timezones)', () => {
    expect(TIMEZONE_VERSION).toBe(process.versions.tz);
    const zoneinfo = brotliDecompressSync(Buffer.from(ZONEINFO, 'base64'));
    expect(nodeZoneinfo(readFileSync(process.execPath))?.equals(zoneinfo)).toBe(true);
  });
});

describe('with a directory', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'daybook-timezones-'))));
  afterEach(() => {
    killServers();
    rmSync(directory, { recursive: true, force: true });
  });

  it('regression: are left as they are, and told of, where the data cannot be used', async () => {
    writeFileSync(join(directory, 'timezones'), '');
    expect(timezoneFiles(directory)).toEqual({
      fault: expect.stringContaining('timezones cannot be used: '),
    });
    const env = { DAYBOOK_TIMEZONE: 'Asia/Kathmandu' };
    const server = await startServer({ directory, env });
    await server.kill('SIGTERM');
    expect(server.log()).toContain('timezones cannot be used: ');
    const setting = async (change: string) => {
      const instance = await DuckDBInstance.create(join(directory, 'daybook.duckdb'));
      const connection = await instance.connect();
      await connection.run(change);
      const reader = await connection.runAndReadAll(`SELECT value FROM settings WHERE name = 'timezone'`);
      connection.closeSync();
      instance.closeSync();
      return reader.getRows().flat();
    };
    // As newer data would have cut the days.
    const newer = await setting(`UPDATE settings SET value = 'Asia/Kathmandu newer' WHERE name = 'timezone'`);
    const open = async (timezone: string) => {
      const warehouse = new DuckdbWarehouse({ directory, timezone, memoryBytesMax: 256 << 20, threads: 1 });
      await warehouse.open();
      await warehouse.close();
      return setting('SELECT 1');
    };
    expect(await open('Asia/Kathmandu')).toEqual(newer);
    expect(await open('Asia/Tokyo')).toEqual([expect.stringMatching(/^Asia\/Tokyo [0-9a-f]{32}$/)]);
  });

  it.skipIf(process.getuid!() !== 0)(
    'regression: written by root belong to the owner of the directory (needs root)',
    () => {
      chownSync(directory, 65_534, 65_534);
      expect(timezoneFiles(directory)).toHaveProperty('variables');
      const owners = ['timezones', 'timezones/zoneinfo64.res'].map(
        (name) => statSync(join(directory, name)).uid,
      );
      expect(owners).toEqual([65_534, 65_534]);
    },
  );

  it.each(['a?b', 'a\\b', 'a:b'])(
    'regression: a data directory that they cannot be read from is refused: %s',
    (name) => {
      expect(() => makeDataDirectory(join(directory, name))).toThrow(DirectoryError);
      expect(readdirSync(directory)).toEqual([]);
    },
  );

  /* Summer time for good: Vancouver from March 2026, Edmonton from June; Morocco on UTC from September. */
  it.each([
    ['America/Vancouver', '2026-11-20T07:30:00Z', '2026-11-20'],
    ['America/Edmonton', '2026-11-20T06:30:00Z', '2026-11-20'],
    ['Africa/Casablanca', '2026-11-20T23:30:00Z', '2026-11-20'],
    ['Africa/El_Aaiun', '2026-11-20T23:30:00Z', '2026-11-20'],
  ])(
    'regression: an event in %s at %s is one of %s, as the reporting timezone or another',
    async (timezone, at, day) => {
      const env = { DAYBOOK_TIMEZONE: timezone, DAYBOOK_EVENT_TIME_AHEAD_S: '31622400' };
      const server = await startServer({ directory, env });
      const sent = await fetch(`${server.url}/analytics/event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...EVENT_EXAMPLE, event_time: Date.parse(at) / 1_000 }),
      });
      expect(sent.status).toBe(200);
      const report = async (query: string) =>
        (await (await fetch(`${server.url}/analytics/daily?date_format=iso${query}`)).json()) as {
          daily_stats: { date: string }[];
        };
      let found = await report('');
      for (let tries = 0; found.daily_stats.length === 0 && tries < 500; tries += 1) found = await report('');
      expect(found.daily_stats.map(({ date }) => date)).toEqual([day]);
      await server.kill('SIGTERM');
      // Once more from the rows, where the reporting timezone is another.
      const other = await startServer({ directory });
      const response = await fetch(`${other.url}/analytics/daily?date_format=iso&timezone=${timezone}`);
      const rows = (await response.json()) as typeof found;
      expect(rows.daily_stats.map(({ date }) => date)).toEqual([day]);
    },
  );

  it('checkTimezones() names the timezones that differ, and says whether the reporting one does', async () => {
    const warehouse = new DuckdbWarehouse({
      directory,
      timezone: 'UTC',
      memoryBytesMax: 256 << 20,
      threads: 2,
    });
    await warehouse.open();
    const nowMs = Date.parse('2026-11-25T12:00:00Z');
    const rows = await warehouse.query(timezoneOffsets('2025-11-26', '2027-11-24'), { timeoutMs: 30_000 });
    await warehouse.close();
    /** As Node says it, but for an hour from the 60th week on in the zone that is named. */
    const asked = (name: string) =>
      checkTimezones(
        () =>
          Promise.resolve(
            rows.map((row) => {
              const offsets = nodeOffsets(
                String(row['name']),
                String(row['offsets']).split(' ').length,
                nowMs,
              );
              const moved = offsets.map((seconds, week) => (week >= 60 ? seconds + 3_600 : seconds));
              return { name: row['name']!, offsets: (row['name'] === name ? moved : offsets).join(' ') };
            }),
          ),
        'Europe/Helsinki',
        nowMs,
      );
    expect(await asked('none')).toEqual([
      { good: true, text: expect.stringMatching(/ agree in all \d{3} timezones$/) },
    ]);
    const [other] = await asked('Asia/Tokyo');
    expect(other).toMatchObject({ good: true, text: expect.stringContaining('differ in 1 of') });
    expect(other!.text).toContain('Asia/Tokyo (the week of 2027-01-20)');
    const [reporting] = await asked('Europe/Helsinki');
    expect(reporting).toMatchObject({ good: false, help: expect.stringContaining('newer Daybook') });
  });
});

/** Seconds ahead of UTC at noon of each week, found by formatting the moment, not the offset. */
function nodeOffsets(name: string, weeks: number, nowMs: number): number[] {
  const firstMs = Date.parse(new Date(nowMs).toISOString().slice(0, 10)) - 364 * 86_400_000;
  if (name === 'Factory') return Array.from({ length: weeks }, () => 0);
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: name,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  return Array.from({ length: weeks }, (_, week) => {
    const noonMs = firstMs + (week * 7 + 0.5) * 86_400_000;
    return (Date.parse(`${format.format(noonMs).replace(' ', 'T')}Z`) - noonMs) / 1_000;
  });
}
