import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { control, killServers, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from './load.ts';
import { readStored, temporaryDirectory } from './stored.ts';

const PAGE_BYTES = 4_096;
const WAITING = 400;

afterEach(killServers);

/** Leaves a directory with one event in the warehouse and `WAITING` records in the journal. */
async function killedWithRecordsWaiting(): Promise<string> {
  const directory = temporaryDirectory();
  const server = await startServer({ directory, env: { DAYBOOK_LOADER_INTERVAL_MS: '60000' } });
  expect((await send(`${server.url}/analytics/event`, makeEvent('loaded', 0))).status).toBe(200);
  expect(await control(directory, 'drain', 10_000)).toBe(true);
  for (let from = 1; from <= WAITING; from += 20) {
    const numbers = Array.from({ length: 20 }, (_, i) => from + i);
    const answers = await Promise.all(
      numbers.map((n) => send(`${server.url}/analytics/event`, makeEvent(`waiting-${n}`, n))),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  }
  await server.kill('SIGKILL');
  return directory;
}

interface DeadLetters {
  readonly dead_letters: readonly {
    readonly reason: string;
    readonly detail: string;
    readonly body: string;
  }[];
}

/** The segment that was written to last. */
function lastSegment(directory: string): string {
  const folder = join(directory, 'journal');
  const name = readdirSync(folder).findLast((file) => file.endsWith('.log'));
  return join(folder, name!);
}

describe('a damaged record', () => {
  it('becomes a dead letter; all others are counted', async () => {
    const directory = await killedWithRecordsWaiting();
    const path = lastSegment(directory);
    const file = readFileSync(path);
    const at = file.indexOf('waiting-200"');
    expect(at).toBeGreaterThan(0);
    file.write('WAXTING', at);
    writeFileSync(path, file);

    const server = await startServer({ directory });
    expect(await control(directory, 'drain', 30_000)).toBe(true);
    const { dead_letters: letters } = JSON.parse(
      (await send(`${server.url}/analytics/dead-letters`)).text,
    ) as DeadLetters;
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({ reason: 'corrupt' });
    expect(letters[0]!.body).toContain('WAXTING-200');
    expect((await send(`${server.url}/metrics`)).text).toContain(
      'daybook_dead_letters_total{reason="corrupt"} 1',
    );
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    // A record holds all that shared its commit.
    const lost = letters[0]!.body.match(/^\{/gm)!.length;
    expect(lost).toBeLessThanOrEqual(20);
    const stored = await readStored(directory);
    expect(stored.events).toBe(1 + WAITING - lost);
    expect(stored.users.has('waiting-200')).toBe(false);
    expect(stored.faults).toEqual([]);
  });
});

/** Where the records end; zeros follow. */
function usedBytes(path: string): number {
  return readFileSync(path).findLastIndex((byte) => byte !== 0) + 1;
}

function overwrite(path: string, from: number, bytes: number): void {
  const file = readFileSync(path);
  file.fill(0xff, Math.floor(from), Math.floor(from + bytes));
  writeFileSync(path, file);
}

/** Name → what is done to the journal's last segment. */
const DAMAGES: Readonly<Record<string, (path: string) => void>> = {
  'cut by a page': (path) => truncateSync(path, usedBytes(path) - PAGE_BYTES),
  'cut in the middle of its last record': (path) => truncateSync(path, usedBytes(path) - 100),
  'cut to a half': (path) => truncateSync(path, Math.floor(usedBytes(path) / 2)),
  'whose last page is 0xff': (path) => overwrite(path, usedBytes(path) - PAGE_BYTES, PAGE_BYTES),
  'whose last half is 0xff': (path) => overwrite(path, usedBytes(path) / 2, usedBytes(path) / 2),
  'whose first two pages are 0xff': (path) => overwrite(path, 0, 2 * PAGE_BYTES),
  'whose pages in the middle are 0xff': (path) => overwrite(path, usedBytes(path) / 2, 2 * PAGE_BYTES),
  'that is empty': (path) => truncateSync(path, 0),
  'with garbage after its end': (path) => overwrite(path, usedBytes(path), 10_000),
  'whose note of what is acknowledged is gone': (path) => rmSync(join(path, '../acked')),
  'whose note of what is acknowledged is garbage': (path) => writeFileSync(join(path, '../acked'), 'garbage'),
};

describe('a journal', () => {
  it.each(Object.keys(DAMAGES))('%s does not keep the server from starting and serving', async (name) => {
    const directory = await killedWithRecordsWaiting();
    DAMAGES[name]!(lastSegment(directory));

    const server = await startServer({ directory });
    expect((await send(`${server.url}/analytics/event`, makeEvent('after', 1))).status).toBe(200);
    expect(await control(directory, 'drain', 30_000)).toBe(true);
    expect((await send(`${server.url}/health/ready`)).text).toContain('"status":"ready"');
    const letters = (await send(`${server.url}/analytics/dead-letters`)).text;
    expect(await server.kill('SIGTERM'), server.log()).toEqual({ code: 0, signal: null });

    const stored = await readStored(directory);
    const kept = Array.from({ length: WAITING }, (_, n) => stored.users.get(`waiting-${n + 1}`) ?? 0);
    const keptCount = kept.filter((n) => n === 1).length;
    console.log(`journal ${name}: ${keptCount} of ${WAITING} waiting events kept`);
    expect(stored.users.get('loaded')).toBe(1);
    expect(stored.users.get('after')).toBe(1);
    expect([...stored.users.values()].filter((events) => events !== 1)).toEqual([]);
    expect(stored.faults).toEqual([]);
    // Nothing is lost silently: a dead letter in the middle, a word in the log at the end.
    if (keptCount < WAITING) {
      const told = letters.includes('"corrupt"') || server.log().includes('incomplete record');
      expect(told, server.log()).toBe(true);
    }
    if (name.includes('middle are')) {
      expect([kept[0], kept.at(-1)], 'the oldest and the newest').toEqual([1, 1]);
      expect(keptCount).toBeGreaterThan(WAITING - 100);
    }
    if (name.includes('acknowledged')) expect(keptCount).toBe(WAITING);

    const again = await startServer({ directory });
    expect((await send(`${again.url}/analytics/daily`)).text).toContain(`"total_users":${keptCount + 2},`);
    expect(await again.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

describe('a warehouse file that is garbage', () => {
  it.each(['put back', 'removed'])('leaves the journal open, and once %s its events appear', async (way) => {
    const directory = temporaryDirectory();
    const path = join(directory, 'daybook.duckdb');
    const first = await startServer({ directory });
    expect((await send(`${first.url}/analytics/event`, makeEvent('before', 1))).status).toBe(200);
    await control(directory, 'drain', 10_000);
    expect(await first.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    copyFileSync(path, join(directory, 'good'));
    writeFileSync(path, Buffer.alloc(100_000, 'garbage'));

    const broken = await startServer({ directory });
    for (let n = 0; n < 50; n += 1) {
      expect((await send(`${broken.url}/analytics/event`, makeEvent(`kept-${n}`, n))).status).toBe(200);
    }
    const ready = await send(`${broken.url}/health/ready`);
    expect(ready.status).toBe(200);
    expect(JSON.parse(ready.text)).toMatchObject({
      status: 'degraded',
      ingest: 'open',
      warehouse: 'unavailable',
    });
    const daily = await send(`${broken.url}/analytics/daily`);
    expect(daily.status).toBe(503);
    expect(Number(daily.headers['retry-after'])).toBeGreaterThan(0);
    expect(JSON.parse(daily.text)).toMatchObject({ code: 'warehouse-unavailable' });
    expect(daily.text).not.toMatch(/duckdb|\.ts|\.js/i);
    expect(broken.log()).toContain('the warehouse cannot be opened');
    expect(await broken.kill('SIGTERM')).toEqual({ code: 0, signal: null });

    rmSync(path);
    if (way === 'put back') copyFileSync(join(directory, 'good'), path);
    const repaired = await startServer({ directory });
    expect(await control(directory, 'drain', 30_000)).toBe(true);
    expect((await send(`${repaired.url}/analytics/daily`)).status).toBe(200);
    expect(await repaired.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    const { users, faults } = await readStored(directory);
    expect([...users.keys()].filter((user) => user.startsWith('kept-'))).toHaveLength(50);
    expect(users.has('before')).toBe(way === 'put back');
    expect(faults).toEqual([]);
  });

  it('is opened without a restart once a good one is back', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'daybook.duckdb');
    writeFileSync(path, Buffer.alloc(100_000, 'garbage'));
    const server = await startServer({ directory });
    expect((await send(`${server.url}/analytics/event`, makeEvent('kept', 1))).status).toBe(200);
    rmSync(path);
    for (let tries = 0; tries < 100; tries += 1) {
      const { text } = await send(`${server.url}/analytics/daily`);
      if (text.startsWith('{"total_users":1,')) break;
      await sleep(200);
    }
    expect((await send(`${server.url}/analytics/daily`)).text).toMatch(/^\{"total_users":1,/);
    expect(existsSync(path)).toBe(true);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});
