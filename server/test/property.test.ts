import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dailyReport, type DailyQuery } from '../src/reports/daily.ts';
import { EventLines } from '../src/event/lines.ts';
import { linesOf } from '../src/warehouse/conformance.ts';
import type { Warehouse } from '../src/warehouse/contract.ts';
import { DuckdbWarehouse } from '../src/warehouse/duckdb/warehouse.ts';
import { GOLDEN_BATCHES, GOLDEN_DAILY } from './fixtures/golden.ts';
import { world } from './fixtures/world.ts';
import { referenceReport } from './reference.ts';

async function inTemporary(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-property-'));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const make = (
  directory: string,
  timezone: string,
  wrapConnection?: (connection: DuckDBConnection) => DuckDBConnection,
) =>
  new DuckdbWarehouse({
    directory,
    timezone,
    memoryBytesMax: 256 * 1_024 * 1_024,
    threads: 1,
    ...(wrapConnection === undefined ? {} : { wrapConnection }),
  });

function report(warehouse: Warehouse, reportingTimezone: string, query: DailyQuery) {
  const source = {
    dialect: warehouse.dialect,
    project: 'default',
    reportingTimezone,
    query: (statement: Parameters<Warehouse['query']>[0]) =>
      warehouse.query(statement, { timeoutMs: 10_000 }),
  };
  return dailyReport(source, { date_format: 'iso', ...query }, Date.parse('2026-01-01'));
}

describe('the daily report', () => {
  it('equals the naive reference, whatever comes twice, late, out of order, in any timezone', async () => {
    await fc.assert(
      fc.asyncProperty(world, ({ batches, timezone, asked, reopenAfter }) =>
        inTemporary(async (directory) => {
          let warehouse = make(directory, timezone);
          await warehouse.open();
          let end = 0;
          for (const [index, batch] of batches.entries()) {
            end += batch.length;
            await warehouse.insert({
              lines: EventLines.of(linesOf(batch)),
              deadLetters: [],
              position: { source: 'a', end },
              nowUs: 1,
            });
            if (index === reopenAfter) {
              await warehouse.close();
              warehouse = make(directory, timezone);
              await warehouse.open();
            }
          }
          const sent = batches.flat();
          expect(await report(warehouse, timezone, {})).toEqual(referenceReport(sent, timezone));
          expect(await report(warehouse, timezone, { timezone: asked })).toEqual(
            referenceReport(sent, asked),
          );
          // Each day by itself, so that what a range passes over is never a part of it.
          for (const stats of referenceReport(sent, asked).daily_stats) {
            const oneDay = { timezone: asked, from: stats.date, to: stats.date };
            expect((await report(warehouse, timezone, oneDay)).daily_stats).toEqual([stats]);
          }
          const { total_users, daily_stats } = referenceReport(sent, timezone);
          for (const stats of daily_stats) {
            const oneDay = { from: stats.date, to: stats.date };
            expect(await report(warehouse, timezone, oneDay)).toEqual({ total_users, daily_stats: [stats] });
          }
          expect(await warehouse.verify()).toEqual([]);
          await warehouse.close();
        }),
      ),
      { numRuns: 60 },
    );
  });

  it('lists the days of a range that have no event, and only days of the range', async () => {
    await inTemporary(async (directory) => {
      const warehouse = make(directory, 'UTC');
      await warehouse.open();
      const lines = EventLines.of(linesOf(GOLDEN_BATCHES.flat()));
      await warehouse.insert({ lines, deadLetters: [], position: { source: 'a', end: 13 }, nowUs: 1 });
      for (const timezone of ['UTC', 'Asia/Kathmandu']) {
        const { total_users, daily_stats } = await report(warehouse, 'UTC', {
          from: '2021-12-02',
          to: '2021-12-05',
          timezone,
        });
        expect(total_users).toBe(4);
        expect(daily_stats.map(({ date }) => date)).toEqual([
          '2021-12-05',
          '2021-12-04',
          '2021-12-03',
          '2021-12-02',
        ]);
        expect(daily_stats.map((day) => day.active_user_count)).toEqual([0, 0, 2, 1]);
        expect(daily_stats[0]).toMatchObject({ average_session_duration: 0, new_user_count: 0 });
      }
      await warehouse.close();
    });
  });

  it('row 12: reads the table of days once, and says all users also where no day lies in the range', async () => {
    await inTemporary(async (directory) => {
      const warehouse = make(directory, 'UTC');
      await warehouse.open();
      const before = { from: '1999-01-01', to: '1999-01-01' };
      expect(await report(warehouse, 'UTC', before)).toMatchObject({ total_users: 0 });
      const today = await report(warehouse, 'UTC', { from: '2025-12-31' });
      expect(today.daily_stats.map(({ date }) => date)).toEqual(['2026-01-01', '2025-12-31']);
      const lines = EventLines.of(linesOf(GOLDEN_BATCHES.flat()));
      await warehouse.insert({ lines, deadLetters: [], position: { source: 'a', end: 13 }, nowUs: 1 });
      for (const range of [before, { from: '2025-12-31' }, { to: '1999-01-01' }, {}]) {
        expect((await report(warehouse, 'UTC', range)).total_users).toBe(4);
        const asked: string[] = [];
        const table = (name: string) => `${name} /* read */`;
        const query = ({ sql }: { sql: string }) => Promise.resolve((asked.push(sql), []));
        const dialect = { ...warehouse.dialect, table };
        const source = { dialect, project: 'default', reportingTimezone: 'UTC', query };
        await dailyReport(source, { ...range, to: '1999-01-02' }, 0);
        expect(asked.map((sql) => sql.split('/* read */').length - 1)).toEqual([1]);
      }
      await warehouse.close();
    });
  });
});

describe('an open range', () => {
  it.each([
    'UTC',
    'America/Vancouver',
    'America/Edmonton',
    'Africa/Casablanca',
    'Africa/El_Aaiun',
    'Asia/Kathmandu',
  ])(
    'regression: in %s ends with the day that an event of this moment falls on, whatever Node takes it for',
    async (timezone) => {
      await inTemporary(async (directory) => {
        const warehouse = make(directory, 'UTC');
        await warehouse.open();
        const source = { dialect: warehouse.dialect, project: 'default', reportingTimezone: 'UTC' };
        const query = (statement: Parameters<Warehouse['query']>[0]) =>
          warehouse.query(statement, { timeoutMs: 10_000 });
        // Each half hour of a day of which Node and an older DuckDB begin at other hours.
        for (let halfHour = 0; halfHour < 48; halfHour += 1) {
          const nowMs = Date.parse('2026-11-20T00:20:00Z') + halfHour * 1_800_000;
          const event = { ...GOLDEN_BATCHES[0]![0]!, event_id: `e${halfHour}`, event_time: nowMs / 1_000 };
          const lines = EventLines.of(linesOf([event]));
          const position = { source: 'a', end: halfHour + 1 };
          await warehouse.insert({ lines, deadLetters: [], position, nowUs: 1 });
          const range = { from: '2026-11-18', timezone, date_format: 'iso' } as const;
          const [newest] = (await dailyReport({ ...source, query }, range, nowMs)).daily_stats;
          expect(newest?.active_user_count, `${new Date(nowMs).toISOString()}: ${newest?.date}`).toBe(1);
        }
        await warehouse.close();
      });
    },
  );
});

describe('DuckdbWarehouse.insert()', () => {
  it('counts once when DuckDB fails at the N-th call and the batch is tried again, for every N', async () => {
    let failures = 1;
    let failAt = 0;
    while (failures > 0) {
      failAt += 1;
      failures = 0;
      await inTemporary(async (directory) => {
        const fault = { armed: false, count: 0 };
        const warehouse = make(directory, 'UTC', (connection) => failing(connection, fault, failAt));
        await warehouse.open();
        let end = 0;
        for (const batch of GOLDEN_BATCHES) {
          end += batch.length;
          const load = {
            lines: EventLines.of(linesOf(batch)),
            deadLetters: [],
            position: { source: 'a', end },
            nowUs: 1,
          };
          fault.armed = true;
          fault.count = 0;
          await warehouse.insert(load).catch((error: unknown) => {
            expect(error).toMatchObject({ code: 'unavailable' });
            failures += 1;
          });
          fault.armed = false;
          await warehouse.insert(load);
        }
        const rows = await warehouse.query(
          {
            sql: 'SELECT day, active_users, new_users, sessions, session_duration_us FROM daily ORDER BY day',
            params: {},
          },
          { timeoutMs: 10_000 },
        );
        expect(rows, `failed at call ${failAt}`).toEqual(GOLDEN_DAILY);
        expect(await warehouse.verify()).toEqual([]);
        await warehouse.close();
      });
    }
    expect(failAt).toBeGreaterThan(20);
  });
});

/** The connection, whose N-th call fails while the fault is armed. */
function failing(
  connection: DuckDBConnection,
  fault: { armed: boolean; count: number },
  failAt: number,
): DuckDBConnection {
  return new Proxy(connection, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (fault.armed && ['run', 'start', 'runAndReadAll'].includes(String(name))) {
          fault.count += 1;
          if (fault.count === failAt) return Promise.reject(new Error('IO Error: injected'));
        }
        return value.apply(target, args) as unknown;
      };
    },
  });
}
