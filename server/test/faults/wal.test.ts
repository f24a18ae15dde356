import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { control, killServers, spawnServer, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from './load.ts';
import { readStored, temporaryDirectory } from './stored.ts';

const EVENTS = 300_000;
const BATCH = 5_000;
const MIB = 1_024 * 1_024;
/** The log is cut at 16 MiB; a kill comes when it is longer than this. */
const WAL_BYTES_MIN = 4 * MIB;
const KILLS = 4;

afterEach(killServers);

function walBytes(directory: string): number {
  return statSync(join(directory, 'daybook.duckdb.wal'), { throwIfNoEntry: false })?.size ?? 0;
}

it('comes back from kills with a full DuckDB log under a low memory limit, and counts exactly', async () => {
  const directory = temporaryDirectory();
  // Small batches go through the log; whole row groups would be written past it.
  const env = { DAYBOOK_DUCKDB_MEMORY_BYTES_MAX: '268435456', DAYBOOK_LOADER_EVENTS_MAX: '20000' };
  const first = await startServer({ directory, env });
  for (let from = 0; from < EVENTS; from += BATCH) {
    const events = Array.from({ length: BATCH }, (_, i) => makeEvent(`u-${from + i}`, from + i, i % 2 === 0));
    const { status } = await send(`${first.url}/analytics/events`, events);
    expect(status).toBe(200);
    if (walBytes(directory) > WAL_BYTES_MIN) await sleep(0);
  }
  const seen: number[] = [];
  let server: ReturnType<typeof spawnServer> = first;
  for (let kill = 0; kill < KILLS; kill += 1) {
    if (kill > 0) server = await startServer({ directory, env });
    const deadline = performance.now() + 5_000;
    while (walBytes(directory) < WAL_BYTES_MIN && performance.now() < deadline) await sleep(1);
    expect(await server.kill('SIGKILL'), server.log()).toEqual({ code: null, signal: 'SIGKILL' });
    seen.push(walBytes(directory));
  }
  console.log(`wal: bytes of the log at each kill: ${seen.join(', ')}`);
  expect(Math.max(...seen)).toBeGreaterThan(WAL_BYTES_MIN);

  const last = await startServer({ directory, env });
  expect(await control(directory, 'drain', 120_000), last.log()).toBe(true);
  expect(await last.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  const stored = await readStored(directory);
  expect(stored.events).toBe(EVENTS);
  expect(stored.users.size).toBe(EVENTS);
  expect(stored.faults).toEqual([]);
});
