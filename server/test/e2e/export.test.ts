import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EVENT_EXAMPLE } from '../../src/event/schema.ts';
import { storeManyEvents } from '../fixtures/many-events.ts';
import { killServers, startServer } from './server-process.ts';

/* The built `daybook export` on more events than fit a pipe. */

const COMMAND = join(import.meta.dirname, '../../dist/cli/daybook.js');

describe('daybook export', () => {
  let root: string;
  let data: string;
  let env: Record<string, string | undefined>;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'daybook-'));
    data = join(root, 'data');
    mkdirSync(data);
    env = { PATH: process.env['PATH'], DAYBOOK_DATA_DIR: data };
  });
  afterEach(() => {
    killServers();
    rmSync(root, { recursive: true, force: true });
  });

  /** Writes all events to a file; how long that took in milliseconds, and its lines. */
  async function exported(format: string) {
    const output = join(root, `out.${format}`);
    const startedMs = performance.now();
    await new Promise<void>((resolve, reject) =>
      execFile(
        process.execPath,
        [COMMAND, 'export', '--format', format, '--output', output],
        { env },
        (error) => (error === null ? resolve() : reject(error)),
      ),
    );
    const ms = performance.now() - startedMs;
    return { ms, lines: readFileSync(output, 'utf8').split('\n').slice(0, -1) };
  }

  it('regression: 145,028 events over 9,820 days take seconds in each format, and are in order', async () => {
    await storeManyEvents(data, { events: 145_028, days: 9_820, users: 1_000, sessions: 10_000 });
    const { ms, lines } = await exported('ndjson');
    const times = lines.map((line) => (JSON.parse(line) as { event_time: number }).event_time);
    expect(times).toHaveLength(145_028);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect((await exported('csv')).lines).toHaveLength(145_029);
    // A rescan for each day took more than nine minutes.
    expect(ms).toBeLessThan(40_000);
  });

  it('a reader that reads nothing, and one that is killed, hold up nothing and leave nothing', async () => {
    await storeManyEvents(data, { events: 200_000, days: 30, users: 1_000, sessions: 1_000 });
    const server = await startServer({ directory: data });
    const slow = spawn(process.execPath, [COMMAND, 'export'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    // Its first bytes: from here on the slice has no name.
    await new Promise((resolve) => slow.stdout.once('readable', resolve));
    const sent = await fetch(`${server.url}/analytics/event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...EVENT_EXAMPLE, user_id: 'beside the export' }),
    });
    expect(sent.status).toBe(200);
    for (let tries = 0; ; tries += 1) {
      const report = await (await fetch(`${server.url}/analytics/daily`)).text();
      if (report.includes('"total_users":1001')) break;
      expect(tries).toBeLessThan(500);
      await sleep(10);
    }
    expect(readdirSync(join(data, 'exports'))).toEqual([]);
    slow.kill('SIGKILL');
    await new Promise((resolve) => slow.once('exit', resolve));
    expect((await exported('csv')).lines).toHaveLength(200_002);
    expect(readdirSync(join(data, 'exports'))).toEqual([]);
  });
});
