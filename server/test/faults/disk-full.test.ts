import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, rmdirSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { control, killServers, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from './load.ts';
import { readStored } from './stored.ts';

const MIB = 1_024 * 1_024;

/** Mounts a small file system of memory; undefined with the reason when that is not permitted. */
function mountSmall(): { directory: string } | { reason: string } {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-disk-'));
  const { status, stderr, error } = spawnSync(
    'mount',
    ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', directory],
    {
      encoding: 'utf8',
    },
  );
  if (status === 0) return { directory };
  rmdirSync(directory);
  return { reason: (stderr || String(error)).trim() };
}

function unmount(directory: string): void {
  execFileSync('umount', ['-l', directory]);
  rmdirSync(directory);
}

const probe = mountSmall();
if ('directory' in probe) unmount(probe.directory);
const why = 'reason' in probe ? ` (skipped: ${probe.reason}; run as root: sudo npm run test:faults)` : '';

/** Takes what is free on the disk but for `leaveBytes`. */
function fill(directory: string, leaveBytes: number): string {
  const path = join(directory, 'filler');
  const file = openSync(path, 'a');
  try {
    for (let size = MIB; size >= 1_024;) {
      const { bavail, bsize } = statfsSync(directory);
      if (bavail * bsize - size < leaveBytes) size /= 2;
      else writeSync(file, Buffer.alloc(size));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  return path;
}

afterEach(killServers);

describe.skipIf(why !== '')(`a full disk${why}`, () => {
  it.each([
    ['0', 0],
    ['4194304', 2 * MIB],
    ['4194304', 0],
  ])(
    'refuses with 503, keeps what it has, and goes on: DISK_FREE_BYTES_MIN=%s, %i bytes left',
    async (min, left) => {
      const mounted = mountSmall();
      if ('reason' in mounted) throw new Error(mounted.reason);
      const { directory } = mounted;
      try {
        const env = {
          DAYBOOK_DISK_FREE_BYTES_MIN: min,
          DAYBOOK_LOADER_INTERVAL_MS: '100',
          DAYBOOK_DUCKDB_MEMORY_BYTES_MAX: String(128 * MIB),
        };
        const server = await startServer({ directory, env });
        const statuses = new Map<number, number>();
        const acknowledged: string[] = [];
        let count = 0;
        const post = async (size: number) => {
          const events = Array.from({ length: size }, () => makeEvent(`u-${(count += 1)}`, count));
          const answer = await send(`${server.url}/analytics/events`, events);
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          if (answer.status === 200) acknowledged.push(...events.map((event) => event.user_id));
          return answer;
        };
        for (let batch = 0; batch < 5; batch += 1) expect((await post(100)).status).toBe(200);

        const filler = fill(directory, left);
        let refused = await post(2_000);
        for (let tries = 0; refused.status === 200 && tries < 200; tries += 1) refused = await post(2_000);
        expect(refused.status, server.log()).toBe(503);
        expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
        expect(JSON.parse(refused.text)).toMatchObject({ code: 'storage-unavailable' });
        expect(refused.text).not.toMatch(/ENOSPC|MDB_|No space|\.js/);
        for (let tries = 0; tries < 20; tries += 1) await post(tries % 2 === 0 ? 1 : 500);
        expect((await send(`${server.url}/health/live`)).status).toBe(200);

        rmSync(filler);
        await expect.poll(async () => (await post(1)).status, { timeout: 20_000, interval: 200 }).toBe(200);
        for (let batch = 0; batch < 5; batch += 1) expect((await post(100)).status, server.log()).toBe(200);
        expect(await control(directory, 'drain', 60_000), server.log()).toBe(true);
        expect((await send(`${server.url}/analytics/daily`)).status, server.log()).toBe(200);
        expect(await server.kill('SIGTERM'), server.log()).toEqual({ code: 0, signal: null });
        console.log(`disk full: min ${min}, left ${left}:`, statuses, `${acknowledged.length} acknowledged`);
        expect([...statuses.keys()].filter((status) => status !== 200 && status !== 503)).toEqual([]);

        const stored = await readStored(directory);
        expect(acknowledged.filter((user) => stored.users.get(user) !== 1)).toEqual([]);
        expect(stored.events).toBe(acknowledged.length);
        expect(stored.faults).toEqual([]);
      } finally {
        killServers();
        unmount(directory);
      }
    },
  );

  it('does not keep a server from starting: what is stored is shown, and events are taken when there is room', async () => {
    const mounted = mountSmall();
    if ('reason' in mounted) throw new Error(mounted.reason);
    const { directory } = mounted;
    try {
      const env = {
        DAYBOOK_DISK_FREE_BYTES_MIN: '0',
        DAYBOOK_DUCKDB_MEMORY_BYTES_MAX: String(128 * MIB),
      };
      const first = await startServer({ directory, env });
      expect((await send(`${first.url}/analytics/event`, makeEvent('before', 1))).status).toBe(200);
      expect(await control(directory, 'drain', 60_000)).toBe(true);
      expect(await first.kill('SIGTERM'), first.log()).toEqual({ code: 0, signal: null });

      const filler = fill(directory, 0);
      const server = await startServer({ directory, env });
      const daily = await send(`${server.url}/analytics/daily`);
      expect(daily.text, server.log()).toContain('"total_users":1,');
      const refused = await send(`${server.url}/analytics/event`, makeEvent('refused', 2));
      expect(refused.status).toBe(503);
      rmSync(filler);
      const post = () => send(`${server.url}/analytics/event`, makeEvent('after', 3));
      await expect.poll(async () => (await post()).status, { timeout: 20_000, interval: 200 }).toBe(200);
      expect(await control(directory, 'drain', 60_000), server.log()).toBe(true);
      expect(await server.kill('SIGTERM'), server.log()).toEqual({ code: 0, signal: null });
      const stored = await readStored(directory);
      expect([...stored.users.keys()].toSorted()).toEqual(['after', 'before']);
    } finally {
      killServers();
      unmount(directory);
    }
  });
});
