import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { readConfig } from '../server/src/config.ts';
import { Engine, type EngineOptions } from '../server/src/delivery/engine.ts';
import type { EventLine } from '../server/src/event/line.ts';
import { engineOptions } from '../server/src/drivers.ts';
import { fillJournal } from './journal.ts';
import { DAY_S, trafficLines } from './lines.ts';
import { inPlace } from './places.ts';
import { fixed, median, type Report } from './report.ts';

/*
 * From the journal into DuckDB, with duplicates searched and rollups kept, in the product's own engine and with
 * its default settings. The floor is DuckDB alone: `INSERT INTO … SELECT … FROM read_json(…)` of the same lines
 * in files of the sizes that the loader's batches had, one transaction each, into a table of the same columns
 * but event_hash, with the same threads, memory limit and checkpoint threshold; no ids looked up, no rollups.
 */

const DAYS = 30;
const DRAIN_TIMEOUT_MS = 120_000;

export async function loading(report: Report, quick: boolean): Promise<void> {
  const events = quick ? 200_000 : 1_000_000;
  for (const givenIds of [true, false]) {
    await inPlace('loading', async (directory) => {
      const fromS = Math.floor(Date.now() / 1_000) - DAYS * DAY_S;
      const lines = [...trafficLines({ events, users: 100_000, days: DAYS, fromS, givenIds })];
      const filled = join(directory, 'filled');
      mkdirSync(filled);
      await fillJournal(filled, lines, 1_000);
      const rounds: { ours: number; floor: number }[] = [];
      for (let round = 0; round < 2; round += 1) {
        const ours = await load(filled, join(directory, `ours-${round}`), events);
        const floor = await floorLoad(join(directory, `floor-${round}`), lines, ours.batches);
        rounds.push({ ours: ours.perSecond, floor });
      }
      report.atLeast(`journal → DuckDB with rollups, ${givenIds ? 'event ids given' : 'no event ids'}`, {
        ours: `${fixed(median(rounds.map(({ ours }) => ours)))} events/s`,
        floor: `${fixed(median(rounds.map(({ floor }) => floor)))} events/s`,
        ratio: median(rounds.map(({ ours, floor }) => ours / floor)),
        target: 0.5,
      });
    });
  }
}

function optionsFor(directory: string): EngineOptions {
  return engineOptions(readConfig({ DAYBOOK_DATA_DIR: directory }));
}

/** Loads a copy of the journal; says how fast, and how many events each batch had. */
async function load(filled: string, directory: string, events: number) {
  mkdirSync(directory);
  cpSync(join(filled, 'journal'), join(directory, 'journal'), { recursive: true });
  const batches: number[] = [];
  const engine = new Engine(optionsFor(directory), (count) => batches.push(count));
  const startedMs = performance.now();
  await engine.start();
  const drained = await engine.drain(DRAIN_TIMEOUT_MS);
  const ms = performance.now() - startedMs;
  const { inserted, reason } = engine.stats();
  await engine.stop();
  if (!drained || inserted !== events) throw new Error(`loaded ${inserted} of ${events} events: ${reason}`);
  return { perSecond: (events / ms) * 1_000, batches };
}

const FLOOR_TABLE = `CREATE TABLE events (
  event_id VARCHAR NOT NULL, project VARCHAR NOT NULL, received_at TIMESTAMP NOT NULL, event_time TIMESTAMP NOT NULL,
  event_name VARCHAR NOT NULL, user_id VARCHAR NOT NULL, session_id VARCHAR NOT NULL,
  page VARCHAR, country VARCHAR, region VARCHAR, city VARCHAR, properties JSON)`;

function floorInsert(path: string): string {
  return `INSERT INTO events
    SELECT event_id, project, make_timestamp(received_at), make_timestamp(event_time), event_name, user_id, session_id,
      page, country, region, city, properties
    FROM read_json('${path}', format = 'newline_delimited', columns = {
      event_id: 'VARCHAR', project: 'VARCHAR', received_at: 'BIGINT', event_time: 'BIGINT', event_name: 'VARCHAR',
      user_id: 'VARCHAR', session_id: 'VARCHAR', page: 'VARCHAR', country: 'VARCHAR', region: 'VARCHAR',
      city: 'VARCHAR', properties: 'JSON'})`;
}

async function floorLoad(
  directory: string,
  lines: readonly EventLine[],
  batches: readonly number[],
): Promise<number> {
  mkdirSync(directory);
  let from = 0;
  const files = batches.map((count, index) => {
    const path = join(directory, `${index}.ndjson`);
    writeFileSync(path, lines.slice(from, (from += count)).join('\n'));
    return path;
  });
  const { duckdbThreads: threads, duckdbMemoryBytesMax: memoryBytesMax } = readConfig({});
  const startedMs = performance.now();
  const instance = await DuckDBInstance.create(join(directory, 'floor.duckdb'), {
    threads: String(threads),
    memory_limit: `${Math.floor(memoryBytesMax / 1_024)}KiB`,
    checkpoint_threshold: '16MiB',
  });
  const connection = await instance.connect();
  await connection.run(FLOOR_TABLE);
  for (const path of files) {
    await connection.run('BEGIN');
    await connection.run(floorInsert(path));
    await connection.run('COMMIT');
  }
  const ms = performance.now() - startedMs;
  const reader = await connection.runAndReadAll('SELECT count(*) FROM events');
  connection.closeSync();
  instance.closeSync();
  if (Number(reader.getRows()[0]![0]) !== lines.length)
    throw new Error('the floor has not loaded every line');
  return (lines.length / ms) * 1_000;
}
