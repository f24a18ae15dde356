import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { control, killServers, spawnServer, startServer } from '../e2e/server-process.ts';
import { Load, seededRandom } from './load.ts';
import { readStored, temporaryDirectory } from './stored.ts';

const ROUNDS = 28;
const SENDERS = 8;

afterEach(killServers);

it(`loses and repeats nothing over ${ROUNDS} kills at random moments under load`, async () => {
  const random = seededRandom('kill');
  const directory = temporaryDirectory();
  const load = new Load(random);
  for (let round = 0; round < ROUNDS; round += 1) {
    const server = spawnServer({ directory });
    // Every seventh server is killed at any point of its start, recovery included.
    const starting = round % 7 === 6;
    const url = starting ? undefined : await server.ready;
    const gone = new AbortController();
    const running = url === undefined ? undefined : load.run(url, SENDERS, gone.signal);
    await sleep(random.int(50, 700));
    const exit = await server.kill('SIGKILL');
    gone.abort();
    await running;
    expect(exit, server.log()).toEqual({ code: null, signal: 'SIGKILL' });
  }
  const last = await startServer({ directory });
  expect(await control(directory, 'drain', 60_000)).toBe(true);
  expect(await last.kill('SIGTERM')).toEqual({ code: 0, signal: null });

  const stored = await readStored(directory);
  console.log(
    `kill: ${load.fates.size} events sent, ${load.acknowledged} acknowledged, ${stored.events} stored`,
  );
  expect(load.acknowledged).toBeGreaterThan(1_000);
  expect(load.contradictions(stored.users)).toEqual([]);
  expect(stored.faults).toEqual([]);
  expect(last.log()).not.toMatch(/damaged/);
});
