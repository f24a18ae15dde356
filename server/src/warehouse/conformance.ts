import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GOLDEN_BATCHES, GOLDEN_DAILY, GOLDEN_EVENTS } from '../../test/fixtures/golden.ts';
import type { Event } from '../event/event.ts';
import { encodeLine } from '../event/line.ts';
import { EventLines } from '../event/lines.ts';
import type { Warehouse } from './contract.ts';
import type { WarehouseTable } from './dialect.ts';

/** What a driver gives the suite: an empty place to store things, and a way to spoil it. */
export interface WarehouseHarness {
  /** A warehouse on the same place each time; the timezone may change from one to the next. Not yet open. */
  make(timezone?: string): Promise<Warehouse>;
  /** A statement of the engine that runs for longer than a test. */
  readonly endless: string;
  /** Brings lines into a warehouse that does not insert by itself, as its transport would. */
  deliver?(lines: readonly string[]): Promise<void>;
  /** Changes a row of the rollup `daily` behind the warehouse's back; only where the warehouse inserts. */
  tamper?(warehouse: Warehouse): Promise<void>;
  cleanUp(): Promise<void>;
}

const SOURCE = randomUUID();
const TIMEOUT = { timeoutMs: 10_000 };

export function linesOf(events: readonly Event[]): string[] {
  const receipt = { project: 'default', receivedAtUs: 1_638_400_000_000_000, newEventId: randomUUID };
  return events.map((event) => encodeLine(event, receipt));
}

/** The promises of `Warehouse`, for every driver. */
export function describeWarehouse(name: string, makeHarness: () => Promise<WarehouseHarness>): void {
  describe(`${name} as a warehouse`, () => {
    let harness: WarehouseHarness;
    let warehouse: Warehouse;
    let end = 0;

    beforeEach(async () => {
      harness = await makeHarness();
      warehouse = await harness.make();
      await warehouse.open();
      end = 0;
    });
    afterEach(async () => {
      await warehouse.close();
      await harness.cleanUp();
    });

    const insert = (lines: readonly string[]) => {
      end += lines.length;
      return warehouse.insert({
        lines: EventLines.of(lines),
        deadLetters: [],
        position: { source: SOURCE, end },
        nowUs: 1,
      });
    };
    /** Brings lines in, whichever way the warehouse has. */
    const store = async (lines: readonly string[]) => {
      if (warehouse.supports.insert) await insert(lines);
      else await harness.deliver!(lines);
    };
    const storeGolden = async () => {
      for (const batch of GOLDEN_BATCHES) await store(linesOf(batch));
    };
    const select = (columns: string, table: WarehouseTable, rest = '') =>
      warehouse.query(
        { sql: `SELECT ${columns} FROM ${warehouse.dialect.table(table)} ${rest}`, params: {} },
        TIMEOUT,
      );
    const daily = () =>
      select('day, active_users, new_users, sessions, session_duration_us', 'daily', 'ORDER BY day');
    const count = async (table: WarehouseTable) => (await select('count(*) AS n', table))[0]?.['n'];

    it('gives the golden numbers', async () => {
      await storeGolden();
      expect(await daily()).toEqual(GOLDEN_DAILY);
      expect(await count('events')).toBe(GOLDEN_EVENTS);
    });

    it('gives the golden numbers when everything arrives backwards in one batch', async () => {
      await store(linesOf(GOLDEN_BATCHES.flat().toReversed()));
      expect(await daily()).toEqual(GOLDEN_DAILY);
    });

    it('gives the golden numbers when every event with an id arrives twice', async () => {
      await storeGolden();
      await store(linesOf(GOLDEN_BATCHES.flat().filter((event) => event.event_id !== undefined)));
      expect(await daily()).toEqual(GOLDEN_DAILY);
      expect(await count('events')).toBe(GOLDEN_EVENTS);
    });

    it('keeps the ids of projects apart', async () => {
      const [line = ''] = linesOf([GOLDEN_BATCHES[0]![0]!]);
      await store([line]);
      await store([JSON.stringify({ ...(JSON.parse(line) as object), project: 'other' })]);
      expect(await count('events')).toBe(2);
    });

    it('keeps text exactly', async () => {
      const text = `ä "q" \\ \n\t 😀 'x' ${'ß'.repeat(50)}`;
      await store(linesOf([{ ...GOLDEN_BATCHES[0]![0]!, user_id: text, page: text }]));
      expect(await select('user_id, page', 'events')).toEqual([{ user_id: text, page: text }]);
    });

    it('stops a query at its deadline', async () => {
      const endless = { sql: harness.endless, params: {} };
      await expect(warehouse.query(endless, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'timeout' });
      expect(await count('events')).toBe(0);
    });

    it('regression: stops a query whose signal fires, however far it is', async () => {
      // While a connection is found, the statement is planned, begins, runs.
      for (const delay of ['none', 'turn', 0, 1, 2, 3, 5, 8, 13, 50] as const) {
        const stop = new AbortController();
        const sql = `${harness.endless} /* ${delay} */`;
        const asked = warehouse.query({ sql, params: {} }, { timeoutMs: 60_000, signal: stop.signal });
        if (delay === 'turn') await new Promise(setImmediate);
        else if (delay !== 'none') await sleep(delay);
        const startedMs = performance.now();
        stop.abort();
        await expect(asked, `after ${delay}`).rejects.toMatchObject({ code: 'timeout' });
        expect(performance.now() - startedMs, `after ${delay}`).toBeLessThan(2_000);
      }
    });

    it('starts no query whose signal has fired', async () => {
      const options = { timeoutMs: 60_000, signal: AbortSignal.abort() };
      const endless = { sql: harness.endless, params: {} };
      await expect(warehouse.query(endless, options)).rejects.toMatchObject({ code: 'timeout' });
    });

    it('a signal that fires after the rows have come changes nothing', async () => {
      const stop = new AbortController();
      const one = { sql: 'SELECT 1 AS n', params: {} };
      expect(await warehouse.query(one, { ...TIMEOUT, signal: stop.signal })).toEqual([{ n: 1 }]);
      stop.abort();
      expect(await count('events')).toBe(0);
    });

    it('keeps everything when it is closed and opened', async () => {
      await storeGolden();
      await warehouse.close();
      warehouse = await harness.make();
      await warehouse.open();
      expect(await daily()).toEqual(GOLDEN_DAILY);
      expect(await count('events')).toBe(GOLDEN_EVENTS);
    });

    it('makes the rollups anew when the reporting timezone changes', async () => {
      await storeGolden();
      await warehouse.close();
      warehouse = await harness.make('Asia/Kathmandu');
      await warehouse.open();
      expect((await daily()).map((row) => [row['day'], row['active_users']])).toEqual([
        ['2021-11-30', 1],
        ['2021-12-01', 2],
        ['2021-12-02', 1],
        ['2021-12-03', 2],
      ]);
      expect(await warehouse.verify()).toEqual([]);
    });

    it('verify() finds nothing where nothing is wrong', async () => {
      await storeGolden();
      expect(await warehouse.verify()).toEqual([]);
    });

    it('answers with closed when it is', async () => {
      await warehouse.close();
      await expect(count('events')).rejects.toMatchObject({ code: 'closed' });
    });

    describe('where it inserts', () => {
      beforeEach(({ skip }) => skip(!warehouse.supports.insert, `${name} is written by its transport`));

      it('finds a given id among those that the server made', async () => {
        const [line = ''] = linesOf([GOLDEN_BATCHES[0]![2]!]);
        await insert([line]);
        const again = { ...(JSON.parse(line) as object), event_id_given: true };
        expect(await insert([JSON.stringify(again)])).toEqual({ inserted: 0, duplicates: 1 });
      });

      it('skips a batch whose position it has', async () => {
        const lines = EventLines.of(linesOf(GOLDEN_BATCHES[0]!));
        const position = { source: SOURCE, end: 4 };
        await warehouse.insert({ lines, deadLetters: [], position, nowUs: 1 });
        expect(await warehouse.insert({ lines, deadLetters: [], position, nowUs: 1 })).toEqual({
          inserted: 0,
          duplicates: 4,
        });
        expect(await count('events')).toBe(4);
        expect(await warehouse.positions()).toEqual([position]);
      });

      it.each([
        ['no JSON', 'nope'],
        ['no event', '{"event_id":"x"}'],
        ['a time that is none', '{"event_id":"x","project":"p","event_time":"soon"}'],
      ])('leaves nothing of a batch with a line that is %s', async (_, bad) => {
        const error = await insert([...linesOf(GOLDEN_BATCHES[0]!), bad]).catch((reason: unknown) => reason);
        expect(error).toMatchObject({ name: 'StoreError', code: 'rejected' });
        expect(await count('events')).toBe(0);
        expect(await count('daily')).toBe(0);
        expect(await warehouse.positions()).toEqual([]);
      });

      it('check() rejects what insert() would, and stores nothing', async () => {
        await warehouse.check(EventLines.of(linesOf(GOLDEN_BATCHES[0]!)));
        await expect(warehouse.check(EventLines.of(['nope']))).rejects.toMatchObject({ code: 'rejected' });
        expect(await count('events')).toBe(0);
        expect(await count('daily')).toBe(0);
        expect(await warehouse.positions()).toEqual([]);
      });

      it('stores dead letters with their batch', async () => {
        const deadLetters = [{ reason: 'rejected' as const, detail: 'why', body: 'nope' }];
        await warehouse.insert({
          lines: EventLines.of([]),
          deadLetters,
          position: { source: SOURCE, end: 1 },
          nowUs: 5_000_000,
        });
        expect(await select('reason, detail, body', 'dead_letters')).toEqual(deadLetters);
      });

      it('gives back the positions that it had when it was closed', async () => {
        await storeGolden();
        await warehouse.close();
        warehouse = await harness.make();
        await warehouse.open();
        expect(await warehouse.positions()).toEqual([{ source: SOURCE, end }]);
      });

      it('counts what is new and what it has', async () => {
        const again = GOLDEN_BATCHES.flat().filter((event) => event.event_id !== undefined);
        await storeGolden();
        expect(await insert(linesOf(again))).toEqual({ inserted: 0, duplicates: again.length });
      });

      it('verify() finds a rollup that was changed behind its back', async () => {
        await storeGolden();
        await harness.tamper!(warehouse);
        expect(await warehouse.verify()).toEqual([{ rollup: 'daily', rows: 2 }]);
      });

      it('answers an insert with closed when it is', async () => {
        await warehouse.close();
        await expect(insert(linesOf(GOLDEN_BATCHES[0]!))).rejects.toMatchObject({ code: 'closed' });
      });
    });
  });
}
