import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { control, killServers, startServer } from '../e2e/server-process.ts';
import { send } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { world } from '../fixtures/world.ts';
import { referenceReport } from '../reference.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle } from './google.ts';

const DAYBOOK = resolve(import.meta.dirname, '../../dist/cli/daybook.js');

/** Runs the command; what it printed. */
function daybook(args: readonly string[], env: Readonly<Record<string, string>>): string {
  return execFileSync(process.execPath, [DAYBOOK, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

describeWith(['pstest', 'bqemulator'], 'moving from one warehouse to the other', () => {
  let directory: string;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(killServers);

  it('keeps every number and every event_id, there and back, and importing twice counts nothing twice', async () => {
    const sent = fc.sample(world, { seed: 7, numRuns: 3 }).flatMap(({ batches }, index) =>
      batches.flat().map((event, n) => ({
        ...event,
        event_id: `${event.event_id ?? `none-${n}`}-${index}`,
        page: '/ä "quoted"',
        properties: { n, nested: { list: [1, 'two', null] } },
      })),
    );
    const wanted = referenceReport(sent, 'UTC');
    const read = async (url: string) =>
      JSON.parse((await send(`${url}/analytics/daily?date_format=iso`)).text) as unknown;
    const [first, second] = [join(directory, 'first'), join(directory, 'second')];
    const embedded = await startServer({ directory: first });
    expect((await send(`${embedded.url}/analytics/events`, sent)).status).toBe(200);
    await control(first, 'drain', 60_000);
    expect(await read(embedded.url)).toEqual(wanted);

    const file = join(directory, 'events.ndjson');
    daybook(['export', '--output', file], { DAYBOOK_DATA_DIR: first });
    const google = await startGoogle();
    await google.provision();
    await google.deliver();
    const cloud = await startServer({ directory: join(directory, 'none'), env: { ...google.env } });
    for (const again of [[], ['--from-start']]) {
      daybook(['import', file, '--url', cloud.url, ...again], {
        DAYBOOK_DATA_DIR: join(directory, 'progress'),
      });
    }
    await google.delivered();
    expect(await read(cloud.url)).toEqual(wanted);
    expect(daybook(['verify'], { ...google.env })).toContain('the rollups agree with the rows');

    const back = join(directory, 'back.ndjson');
    daybook(['export', '--output', back], { ...google.env, DAYBOOK_DATA_DIR: join(directory, 'none') });
    const lines = (path: string) =>
      readFileSync(path, 'utf8')
        .trim()
        .split('\n')
        .map((line) => withoutNulls(JSON.parse(line) as { event_id: string }));
    const byId = (a: { event_id: string }, b: { event_id: string }) => (a.event_id < b.event_id ? -1 : 1);
    expect(lines(back).toSorted(byId)).toEqual(lines(file).toSorted(byId));
    daybook(['import', back], { DAYBOOK_DATA_DIR: second });
    const restored = await startServer({ directory: second });
    expect(await read(restored.url)).toEqual(wanted);
  });
});

/** DuckDB writes absent fields as null, which an import passes over. */
function withoutNulls<T extends object>(event: T): T {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null)) as T;
}
