import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventLines } from '../../event/lines.ts';
import { GOLDEN_BATCHES } from '../../../test/fixtures/golden.ts';
import { describeWarehouse, linesOf } from '../conformance.ts';
import { checkDuckdbFile, DUCKDB_FILE } from './open-file.ts';
import { DuckdbWarehouse } from './warehouse.ts';

describeWarehouse('DuckDB', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-duckdb-'));
  return {
    make: async (timezone = 'UTC') =>
      new DuckdbWarehouse({ directory, timezone, memoryBytesMax: 256 * 1_024 * 1_024, threads: 2 }),
    endless:
      'SELECT count(*) AS n FROM range(100000000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3',
    tamper: async (warehouse) => {
      await warehouse.close();
      const instance = await DuckDBInstance.create(join(directory, DUCKDB_FILE));
      const connection = await instance.connect();
      await connection.run(`UPDATE daily SET active_users = active_users + 1 WHERE day = DATE '2021-12-01'`);
      connection.closeSync();
      instance.closeSync();
      await warehouse.open();
    },
    cleanUp: async () => rmSync(directory, { recursive: true, force: true }),
  };
});

describe('DuckdbWarehouse.backup()', () => {
  it("regression: leaves DuckDB's lock on the file, so that no other process can open it", async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-duckdb-'));
    const warehouse = new DuckdbWarehouse({
      directory,
      timezone: 'UTC',
      memoryBytesMax: 256 * 1_024 * 1_024,
      threads: 1,
    });
    await warehouse.open();
    await warehouse.backup(join(directory, 'copy'));
    const other = `const { DuckDBInstance } = await import('@duckdb/node-api');
      await DuckDBInstance.create(${JSON.stringify(join(directory, DUCKDB_FILE))});`;
    const opened = promisify(execFile)(process.execPath, ['--input-type=module', '-e', other], {
      cwd: import.meta.dirname,
    });
    await expect(opened).rejects.toThrow(/Conflicting lock/);
    await expect(warehouse.backup(join(directory, 'copy'))).rejects.toThrow(/EEXIST/);
    await warehouse.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('regression: waits for the statements in its way, with a deadline, while inserts go on', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-duckdb-'));
    const options = { directory, timezone: 'UTC', memoryBytesMax: 256 << 20, threads: 2 };
    const lines = EventLines.of(linesOf(GOLDEN_BATCHES.flat()));
    const insert = (warehouse: DuckdbWarehouse, end: number) =>
      warehouse.insert({ lines, deadLetters: [], position: { source: 's', end }, nowUs: 1 });
    const endless = {
      sql: 'SELECT sum(hash(event_id || range)) FROM events, range(10_000_000_000)',
      params: {},
    };
    const ask = (warehouse: DuckdbWarehouse, signal: AbortSignal) => {
      const asked = warehouse.query(endless, { timeoutMs: 60_000, signal });
      return expect(asked).rejects.toMatchObject({ code: 'timeout' });
    };
    const impatient = new DuckdbWarehouse({ ...options, checkpointMsMax: 200 });
    await impatient.open();
    await insert(impatient, 100);
    const stop = new AbortController();
    const first = ask(impatient, stop.signal);
    await insert(impatient, 200);
    await expect(impatient.backup(join(directory, 'late'))).rejects.toMatchObject({ code: 'busy' });
    stop.abort();
    await first;
    await impatient.close();

    const warehouse = new DuckdbWarehouse(options);
    await warehouse.open();
    const ended = new AbortController();
    const second = ask(warehouse, ended.signal);
    await insert(warehouse, 300);
    const copied = warehouse.backup(join(directory, 'copy'));
    await insert(warehouse, 400);
    ended.abort();
    await second;
    await copied;
    await warehouse.close();
    expect(await checkDuckdbFile(join(directory, 'copy'))).toEqual([{ source: 's', end: 400 }]);
    rmSync(directory, { recursive: true, force: true });
  });
});

/** More events than DuckDB's row group: it writes full groups into the file before the transaction ends. */
const ROW_GROUP = 122_880;
const EVENTS = ROW_GROUP + 10_000;

describe('DuckdbWarehouse.insert() of more than a row group', () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-duckdb-'));
  const warehouse = new DuckdbWarehouse({
    directory,
    timezone: 'UTC',
    memoryBytesMax: 256 * 1_024 * 1_024,
    threads: 2,
  });
  beforeAll(() => warehouse.open());
  afterAll(async () => {
    await warehouse.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const line = (id: number, user = id) =>
    JSON.stringify({
      event_id: `id-${id}`,
      event_id_given: true,
      project: 'default',
      received_at: 1,
      event_time: 1_638_352_800_000_000 + id,
      event_name: 'click',
      user_id: `user-${user}`,
      session_id: `session-${id % 1_000}`,
    });
  const insert = (lines: readonly string[], end: number) =>
    warehouse.insert({
      lines: EventLines.of(lines),
      deadLetters: [],
      position: { source: 's', end },
      nowUs: 1,
    });
  const rows = async (sql: string) => await warehouse.query({ sql, params: {} }, { timeoutMs: 10_000 });

  it('leaves nothing when a line is rejected', async () => {
    const lines = [...Array.from({ length: EVENTS }, (_, id) => line(id)), '{}'];
    await expect(insert(lines, 1)).rejects.toMatchObject({ code: 'rejected' });
    expect(await rows('SELECT count(*) AS n FROM events')).toEqual([{ n: 0 }]);
  });

  it('keeps the first of each id, and drops what was stored before', async () => {
    expect(await insert([line(5)], 1)).toEqual({ inserted: 1, duplicates: 0 });
    const lines = Array.from({ length: EVENTS }, (_, id) => line(id));
    const again = [line(0, -1), line(ROW_GROUP, -2), line(EVENTS - 1, -3)];
    expect(await insert([...lines, ...again], 2)).toEqual({ inserted: EVENTS - 1, duplicates: 4 });
    expect(
      await rows(
        'SELECT count(*) AS n, count(DISTINCT event_id) AS ids, count(DISTINCT user_id) AS users FROM events',
      ),
    ).toEqual([{ n: EVENTS, ids: EVENTS, users: EVENTS }]);
    expect(await rows(`SELECT count(*) AS n FROM users WHERE user_id LIKE 'user--%'`)).toEqual([{ n: 0 }]);
    expect(await warehouse.verify()).toEqual([]);
  });
});

describe('DuckdbWarehouse.open()', () => {
  it('makes the column of hashes anew when DuckDB hashes otherwise than the file was written', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-duckdb-'));
    const make = () =>
      new DuckdbWarehouse({ directory, timezone: 'UTC', memoryBytesMax: 256 * 1_024 * 1_024, threads: 2 });
    const lines = EventLines.of(
      linesOf(GOLDEN_BATCHES.flat().filter((event) => event.event_id !== undefined)),
    );
    const insert = (warehouse: DuckdbWarehouse, end: number) =>
      warehouse.insert({ lines, deadLetters: [], position: { source: 's', end }, nowUs: 1 });
    const first = make();
    await first.open();
    const { inserted } = await insert(first, 100);
    await first.close();
    const instance = await DuckDBInstance.create(join(directory, DUCKDB_FILE));
    const connection = await instance.connect();
    await connection.run('UPDATE events SET event_hash = md5_number_lower(event_id)');
    await connection.run(`UPDATE settings SET value = 'another' WHERE name = 'event_hash'`);
    connection.closeSync();
    instance.closeSync();
    const second = make();
    await second.open();
    expect(await insert(second, 200)).toEqual({ inserted: 0, duplicates: lines.count });
    expect(inserted).toBeGreaterThan(0);
    await second.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('regression: makes the rollups anew when the rules of the reporting timezone have changed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-duckdb-'));
    const make = () =>
      new DuckdbWarehouse({ directory, timezone: 'Asia/Kathmandu', memoryBytesMax: 256 << 20, threads: 2 });
    const first = make();
    await first.open();
    const lines = EventLines.of(linesOf(GOLDEN_BATCHES.flat()));
    await first.insert({ lines, deadLetters: [], position: { source: 's', end: 100 }, nowUs: 1 });
    await first.close();
    const instance = await DuckDBInstance.create(join(directory, DUCKDB_FILE));
    const connection = await instance.connect();
    const kept = await connection.runAndReadAll(`SELECT value FROM settings WHERE name = 'timezone'`);
    expect(kept.getRows()).toEqual([[expect.stringMatching(/^Asia\/Kathmandu [0-9a-f]{32}$/)]]);
    // As another version of the timezone data would have cut the days.
    await connection.run(`UPDATE settings SET value = 'Asia/Kathmandu other' WHERE name = 'timezone'`);
    await connection.run(`UPDATE daily SET day = day + 1`);
    connection.closeSync();
    instance.closeSync();
    const second = make();
    await second.open();
    expect(await second.verify()).toEqual([]);
    await second.close();
    rmSync(directory, { recursive: true, force: true });
  });
});
