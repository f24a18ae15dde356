import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EVENT_EXAMPLE } from '../../src/event/schema.ts';
import { control, killServers, runCommand, spawnServer, startServer } from './server-process.ts';

/* Two processes on one data directory. `faults/two-processes.test.ts` does the same in every order and state. */

let root: string;
let data: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'daybook-'));
  data = join(root, 'data');
});
afterEach(() => {
  killServers();
  rmSync(root, { recursive: true, force: true });
});

async function daybook(args: readonly string[], directory = data, env: Record<string, string> = {}) {
  const { code, err } = await runCommand(args, { directory, env: { PORT: '0', ...env } });
  return { code, err };
}

const event = (user: string) => JSON.stringify({ ...EVENT_EXAMPLE, user_id: user });

function post(url: string, user: string): Promise<Response> {
  return fetch(`${url}/analytics/event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: event(user),
  });
}

/** What the report of a server that is started anew says, once it says it: `users`, or another number after 10 s. */
async function usersAfterRestart(users: number, directory = data): Promise<number> {
  const again = await startServer({ directory });
  for (let tries = 0; ; tries += 1) {
    const report = (await (await fetch(`${again.url}/analytics/daily`)).json()) as { total_users: number };
    if (report.total_users === users || tries === 200) return report.total_users;
    await sleep(50);
  }
}

describe('a second start', () => {
  it('regression: takes nothing from the first one when the control socket was removed', async () => {
    const first = await startServer({ directory: data });
    rmSync(join(data, 'control.sock'));
    const second = await daybook(['serve']);
    expect(second).toEqual({ code: 1, err: expect.stringContaining(`another process uses ${data} already`) });
    for (const user of ['a', 'b', 'c']) expect((await post(first.url, user)).status).toBe(200);
    await first.kill('SIGKILL');
    expect(await usersAfterRestart(3)).toBe(3);
  });

  it('regression: by a command with another TMPDIR finds a server whose socket does not fit', async () => {
    const long = join(root, 'long'.repeat(30), 'data');
    const first = await startServer({ directory: long });
    const elsewhere = join(root, 'tmp');
    mkdirSync(elsewhere);
    const file = join(root, 'events.ndjson');
    writeFileSync(file, ['d', 'e'].map((user) => `${event(user)}\n`).join(''));
    expect(await daybook(['import', file], long, { TMPDIR: elsewhere })).toMatchObject({ code: 0 });
    for (const user of ['a', 'b', 'c']) expect((await post(first.url, user)).status).toBe(200);
    await first.kill('SIGKILL');
    expect(await usersAfterRestart(5, long)).toBe(5);
    // What a killed server left is removed by the next one; what that one has is for its owner alone.
    expect(readdirSync(long)).toContain('control');
  });

  it('regression: beside another one leaves one that serves and loses nothing', async () => {
    await (await startServer({ directory: data })).kill('SIGKILL');
    const started = [spawnServer({ directory: data }), spawnServer({ directory: data })];
    const urls = await Promise.all(started.map(({ ready }) => ready.catch(() => undefined)));
    const serving = urls.filter((url) => url !== undefined);
    expect(serving).toHaveLength(1);
    for (const user of ['a', 'b', 'c']) expect((await post(serving[0]!, user)).status).toBe(200);
    await Promise.all(started.map((server) => server.kill('SIGKILL')));
    expect(await usersAfterRestart(3)).toBe(3);
  });
});

describe('restore', () => {
  it('regression: does not move the files of a live server whose socket was removed', async () => {
    const first = await startServer({ directory: data });
    await post(first.url, 'a');
    const copy = join(root, 'copy');
    expect(await daybook(['backup', copy])).toMatchObject({ code: 0 });
    rmSync(join(data, 'control.sock'));
    expect(await daybook(['restore', '--force', copy])).toEqual({
      code: 1,
      err: expect.stringContaining('uses'),
    });
    for (const user of ['b', 'c']) expect((await post(first.url, user)).status).toBe(200);
    await first.kill('SIGKILL');
    expect(await usersAfterRestart(3)).toBe(3);
  });
});

describe('a server whose files are gone', () => {
  it('regression: refuses events, says so, and is not ready', async () => {
    const server = await startServer({ directory: data });
    expect((await post(server.url, 'a')).status).toBe(200);
    rmSync(join(data, 'journal'), { recursive: true });
    await sleep(600);
    const answer = await post(server.url, 'b');
    expect(answer.status).toBe(503);
    expect(((await answer.json()) as { code: string }).code).toBe('storage-unavailable');
    const ready = await fetch(`${server.url}/health/ready`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      expect.objectContaining({ status: 'unavailable', ingest: 'closed' }),
    ]);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(200);
    expect(server.log()).toContain('no longer this process');
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

it('a drain ends although events go on coming', async () => {
  const server = await startServer({ directory: data });
  const over = new AbortController();
  const posting = (async () => {
    for (let n = 0; !over.signal.aborted; n += 1) await post(server.url, `u${n}`);
  })();
  expect(await control(data, 'drain', 10_000)).toBe(true);
  over.abort();
  await posting;
});

describe.skipIf(process.getuid!() !== 0)('a socket of another user (needs root, to act as one)', () => {
  it('regression: gets no key and no event of an import', async () => {
    mkdirSync(data);
    chmodSync(root, 0o755);
    chmodSync(data, 0o777);
    const heard: string[] = [];
    const listener = createServer((request, response) => {
      heard.push(request.url ?? '');
      response.end(JSON.stringify({ value: { pid: 1, url: 'http://127.0.0.1:9', version: '0' } }));
    });
    process.setegid!(65_534);
    process.seteuid!(65_534);
    await new Promise<void>((done) => listener.listen(join(data, 'control.sock'), done));
    process.seteuid!(0);
    process.setegid!(0);
    const file = join(root, 'events.ndjson');
    writeFileSync(file, `${event('a')}\n`);
    const { code, err } = await daybook(['import', file], data, { DAYBOOK_WRITE_KEYS: 'k'.repeat(16) });
    expect([code, err]).toEqual([
      78,
      expect.stringContaining('was made by another user (65534) and is not used'),
    ]);
    expect(heard).toEqual([]);
    // A server removes it: it holds the lock.
    const server = await startServer({ directory: data });
    expect(await control(data, 'status')).toMatchObject({ url: server.url });
    await new Promise((done) => listener.close(done));
  });
});
