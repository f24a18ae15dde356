import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { control, killServers, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from './load.ts';

/*
 * Kills while a backup is made and while one is restored, at every tenth of the file and at every change of a name. What is
 * left is whole or refused, and a data directory is the one from before or the one from the backup.
 */

const COMMAND = resolve(import.meta.dirname, '../../dist/cli/daybook.js');
/** For one test: some thirty starts of a process, on a machine that may be busy. */
const TIMEOUT_MS = 400_000;
vi.setConfig({ testTimeout: TIMEOUT_MS });
const TENTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const EVENTS = 500;
/** Text that DuckDB cannot compress much, in dead letters: it makes the file long enough to be met in the middle. */
const PADDING_MIB = 128;
const OLD = '{"total_users":1,';
const NEW = `{"total_users":${EVENTS},`;

let root: string;
/** A data directory with `EVENTS` users, its whole backup, and a small data directory of one user. */
let data: string;
let whole: string;
let old: string;
let fileBytes: number;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly text: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

const running = new Set<ChildProcess>();

/** Starts a command, in a group of its own; under another one, such as strace, where asked for. */
function start(directory: string, args: readonly string[], under: readonly string[] = []): Running {
  const [program = process.execPath, ...rest] = [...under, process.execPath, COMMAND, ...args];
  const child = spawn(program, rest, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], DAYBOOK_DATA_DIR: directory },
  });
  running.add(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    running.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, text };
  });
  return { child, ended };
}

const daybook = (directory: string, ...args: readonly string[]) => start(directory, args).ended;

/** What a server that is started on the directory reports, once it has loaded all and verified itself. */
async function served(directory: string): Promise<string> {
  const server = await startServer({ directory });
  expect(await control(directory, 'drain', 60_000), server.log()).toBe(true);
  const { status, text } = await send(`${server.url}/analytics/daily`);
  expect(status, server.log()).toBe(200);
  expect(await control(directory, 'verify'), server.log()).toEqual([]);
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  return text;
}

const size = (path: string) => statSync(path, { throwIfNoEntry: false })?.size;

/** Looks at a file without a break and kills the process when it has so many bytes. Returns how many it had; undefined when it came too late. */
function killAt(pid: number, path: string, bytes: number): number | undefined {
  const deadline = performance.now() + 60_000;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (performance.now() < deadline) {
    const now = size(path);
    if (now !== undefined && now >= bytes) {
      process.kill(pid, 'SIGKILL');
      return now;
    }
    Atomics.wait(cell, 0, 0, now === undefined ? 1 : 0.05);
  }
  return undefined;
}

async function makeData(directory: string, users: number, paddingMib: number): Promise<void> {
  const server = await startServer({ directory });
  const events = Array.from({ length: users }, (_, n) => makeEvent(`u-${n}`, n));
  expect((await send(`${server.url}/analytics/events`, events)).status).toBe(200);
  expect(await control(directory, 'drain', 60_000)).toBe(true);
  expect(await server.kill('SIGTERM'), server.log()).toEqual({ code: 0, signal: null });
  if (paddingMib === 0) return;
  const instance = await DuckDBInstance.create(join(directory, 'daybook.duckdb'));
  const connection = await instance.connect();
  await connection.run(`INSERT INTO dead_letters SELECT now()::TIMESTAMP, 'rejected', 'padding',
    (SELECT string_agg(md5((n * 100_000 + range)::VARCHAR), '') FROM range(1_024))
    FROM (SELECT unnest(range(${paddingMib * 32})) AS n)`);
  await connection.run('CHECKPOINT');
  connection.closeSync();
  instance.closeSync();
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'daybook-backup-'));
  data = join(root, 'data');
  old = join(root, 'old');
  whole = join(root, 'whole');
  await makeData(data, EVENTS, PADDING_MIB);
  await makeData(old, 1, 0);
  expect(await served(data)).toContain(NEW);
  expect(await daybook(data, 'backup', whole)).toMatchObject({ code: 0 });
  fileBytes = statSync(join(whole, 'daybook.duckdb')).size;
  console.log(`backup: a file of ${Math.round(fileBytes / 1_024 / 1_024)} MiB`);
}, 120_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));
afterEach(() => {
  killServers();
  for (const child of running) process.kill(-child.pid!, 'SIGKILL');
});

/** Kills that came after the copy was complete are tried again: the machine may be busy. */
const TRIES_MAX = 5;

/**
 * Kills at every tenth of the file. A trial gets the bytes at which to kill, and returns how many there were when it did; most
 * kills must have been in the middle, or the test shows nothing.
 */
async function atEveryTenth(
  name: string,
  trial: (bytes: number, tenth: number) => Promise<number | undefined>,
): Promise<void> {
  const percent: number[] = [];
  for (const tenth of TENTHS) {
    let met: number | undefined;
    for (let tries = 0; tries < TRIES_MAX && (met ?? fileBytes) >= fileBytes; tries += 1)
      met = await trial((tenth / 10) * fileBytes, tenth);
    percent.push(Math.round(((met ?? Number.NaN) / fileBytes) * 100));
  }
  console.log(`${name}: killed at ${percent.join(', ')} %`);
  expect(percent.filter((at) => at < 100).length, percent.join()).toBeGreaterThanOrEqual(8);
}

/** A folder that a killed backup left is refused, and no data directory comes of it; one that is whole restores. Returns which. */
async function expectWholeOrRefused(copy: string): Promise<'whole' | 'refused'> {
  const target = join(root, 'target');
  const { code, text } = await daybook(target, 'restore', copy);
  const bare = await daybook(target, 'restore', '--without-manifest', copy);
  if (code === 0) {
    expect(await served(target)).toContain(NEW);
    rmSync(target, { recursive: true });
    return 'whole';
  }
  expect(text).toMatch(/is not whole|is not a backup|there is no|has no manifest/);
  // Not even by force: no cut file ever had the name of a whole one.
  if (bare.code === 0) expect(await served(target)).toContain(NEW);
  rmSync(target, { recursive: true, force: true });
  return 'refused';
}

describe('a backup', () => {
  it('whose server is killed at any tenth of the file is none, and the server goes on', async () => {
    await atEveryTenth('backup, server', async (bytes) => {
      const copy = join(root, 'copy');
      const server = await startServer({ directory: data });
      const { ended } = start(data, ['backup', copy]);
      const met = killAt(server.pid, join(copy, 'incomplete/daybook.duckdb'), bytes);
      const { code, text } = await ended;
      await server.exit;
      if (code === 0) {
        expect(await expectWholeOrRefused(copy)).toBe('whole');
        rmSync(copy, { recursive: true });
        return fileBytes;
      }
      expect([code, text]).toEqual([1, expect.stringContaining('nothing was backed up')]);
      expect(existsSync(copy)).toBe(false);
      return met;
    });
    expect(await served(data)).toContain(NEW);
  });

  it.each(['server', 'command'])(
    'that the %s copies is none when the command is killed at any tenth of the file',
    async (by) => {
      const server = by === 'server' ? await startServer({ directory: data }) : undefined;
      await atEveryTenth(`backup, command, copied by the ${by}`, async (bytes) => {
        const copy = join(root, 'copy');
        const { child, ended } = start(data, ['backup', copy]);
        const met = killAt(child.pid!, join(copy, 'incomplete/daybook.duckdb'), bytes);
        expect(await ended).toMatchObject({ signal: 'SIGKILL' });
        // The server may still be copying.
        if (server !== undefined) expect(await control(data, 'verify')).toEqual([]);
        expect(await expectWholeOrRefused(copy)).toBe('refused');
        rmSync(copy, { recursive: true });
        return met;
      });
      if (server !== undefined) expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      expect(await served(data)).toContain(NEW);
    },
  );
});

describe('a restore', () => {
  it('that is killed at any tenth of the file has changed nothing, and can be made again', async () => {
    await atEveryTenth('restore', async (bytes, tenth) => {
      const target = join(root, 'restored');
      cpSync(old, target, { recursive: true });
      const { child, ended } = start(target, ['restore', '--force', whole]);
      const met = killAt(child.pid!, join(target, 'restoring/daybook.duckdb'), bytes);
      expect(await ended).toMatchObject({ signal: 'SIGKILL' });
      expect(await served(target), `tenth ${tenth}`).toContain(OLD);
      if (tenth % 3 === 0) {
        expect(await daybook(target, 'restore', '--force', whole)).toMatchObject({ code: 0 });
        expect(await served(target), `tenth ${tenth}`).toContain(NEW);
        expect(readdirSync(target)).not.toContain('restoring');
      }
      rmSync(target, { recursive: true });
      return met;
    });
  });
});

/** Mounts a small file system of memory; undefined where that is not permitted. */
function mountSmall(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', directory]);
  if (status === 0) return directory;
  rmdirSync(directory);
  return undefined;
}

function unmount(directory: string): void {
  spawnSync('umount', ['-l', directory]);
  rmdirSync(directory);
}

const probe = mountSmall();
if (probe !== undefined) unmount(probe);
const whyDisk = probe === undefined ? ' (skipped: cannot mount; run as root)' : '';

describe.skipIf(probe === undefined)(`a disk that gets full${whyDisk}`, () => {
  it('leaves nothing of a backup, and what was there of a restore', async () => {
    const disk = mountSmall()!;
    try {
      const server = await startServer({ directory: data });
      for (const by of ['server', 'command']) {
        expect(await daybook(data, 'backup', join(disk, 'copy')), by).toMatchObject({
          code: 1,
          text: expect.stringMatching(/nothing was backed up: .*(ENOSPC|No space)/),
        });
        expect(readdirSync(disk)).toEqual([]);
        if (by === 'server') await server.kill('SIGTERM');
      }
      const target = join(disk, 'data');
      cpSync(old, target, { recursive: true });
      expect(await daybook(target, 'restore', '--force', whole)).toMatchObject({
        code: 1,
        text: expect.stringMatching(/nothing was restored: .*ENOSPC/),
      });
      expect(readdirSync(target).toSorted()).toEqual(readdirSync(old).toSorted());
      expect(await served(target)).toContain(OLD);
    } finally {
      killServers();
      unmount(disk);
    }
  });
});

const hasStrace = spawnSync('strace', ['-V']).status === 0;
const why = hasStrace ? '' : ' (skipped: no strace; apt-get install -y strace)';

/** Calls that change a name; strace counts each of them by itself. */
const CALLS = ['mkdir', 'rename', 'unlink', 'rmdir'];
const CALLS_MAX = 30;

const killAtCall = (call: string, n: number) => [
  'strace',
  '-f',
  '-qq',
  '-o',
  '/dev/null',
  '-e',
  `trace=${call}`,
  '-e',
  `inject=${call}:signal=KILL:when=${n}`,
];

describe.skipIf(!hasStrace)(`at every change of a name${why}`, () => {
  /** Runs a command again and again, killed one call later each time, until it ends by itself, for each of the calls. */
  async function killedAtEvery(
    run: (trial: string) => readonly [directory: string, args: readonly string[]],
    check: (trial: string) => Promise<void>,
  ): Promise<void> {
    for (const call of CALLS) {
      for (let n = 1; ; n += 1) {
        if (n > CALLS_MAX) expect.unreachable(`it never came to its end: ${call}`);
        const trial = `${call}-${n}`;
        const [directory, args] = run(trial);
        const { code, signal, text } = await start(directory, args, killAtCall(call, n)).ended;
        if (code === 0) break;
        expect(signal ?? code, text).toSatisfy((end) => end === 'SIGKILL' || end === 137);
        await check(trial);
      }
    }
  }

  it('a killed backup is whole or refused', async () => {
    const ends: string[] = [];
    await killedAtEvery(
      (trial) => [old, ['backup', join(root, `named-${trial}`)]],
      async (trial) => {
        const target = join(root, 'target');
        const { code, text } = await daybook(target, 'restore', join(root, `named-${trial}`));
        ends.push(`${trial} ${code === 0 ? 'whole' : 'refused'}`);
        if (code === 0) expect(await served(target)).toContain(OLD);
        else expect(text).toMatch(/is not whole|is not a backup|there is no|has no manifest/);
        rmSync(target, { recursive: true, force: true });
      },
    );
    console.log(`backup, killed at calls: ${ends.join(', ')}`);
    expect(ends.filter((end) => end.startsWith('rename'))).toHaveLength(3);
    expect(ends.length).toBeGreaterThanOrEqual(6);
    expect(await served(old)).toContain(OLD);
  });

  it('a killed restore leaves what was there, or what came', async () => {
    const small = join(root, 'small');
    const before = join(root, 'before');
    await makeData(before, 2, 0);
    expect(await daybook(old, 'backup', small)).toMatchObject({ code: 0 });
    const target = (trial: string) => join(root, `restored-${trial}`);
    const ends: string[] = [];
    await killedAtEvery(
      (trial) => {
        cpSync(before, target(trial), { recursive: true });
        return [target(trial), ['restore', '--force', small]];
      },
      async (trial) => {
        const text = await served(target(trial));
        expect(text).toMatch(/^\{"total_users":[12],/);
        const end = text.startsWith(OLD) ? 'new' : 'old';
        const aside = readdirSync(target(trial)).filter((name) => name.startsWith('replaced-'));
        expect(aside, trial).toHaveLength(end === 'new' ? 1 : 0);
        ends.push(`${trial} ${end}`);
      },
    );
    console.log(`restore, killed at calls: ${ends.join(', ')}`);
    // The marker, two moves aside and two into place, and from the marker on it is the new one.
    const renames = ends.filter((end) => end.startsWith('rename'));
    expect(renames.length).toBeGreaterThanOrEqual(5);
    expect(renames.slice(2).every((end) => end.endsWith('new'))).toBe(true);
    expect(new Set(ends.map((end) => end.split(' ')[1]))).toEqual(new Set(['old', 'new']));
  });
});
