import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { control, killServers, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from './load.ts';
import { temporaryDirectory } from './stored.ts';

const CALLS = 'openat,fdatasync,fsync,msync,sendto,sendmsg,write,writev,pwrite64,pwritev';
const EVENTS = 20;

const hasStrace = spawnSync('strace', ['-V']).status === 0;
const why = hasStrace ? '' : ' (skipped: no strace; apt-get install -y strace)';

/** A system call as strace saw it: the lines of the trace at which it began and at which it had ended. */
interface Call {
  readonly name: string;
  readonly args: string;
  readonly began: number;
  readonly ended: number;
}

/** Puts the halves of interrupted calls together; calls that failed are left out. */
function parseTrace(trace: string): Call[] {
  const calls: Call[] = [];
  const unfinished = new Map<string, { name: string; args: string; began: number }>();
  for (const [line, text] of trace.split('\n').entries()) {
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/.exec(text);
    if (resumed !== null) {
      const [, pid = '', name = '', rest = ''] = resumed;
      const half = unfinished.get(`${pid} ${name}`);
      unfinished.delete(`${pid} ${name}`);
      if (half !== undefined && !/= -1 /.test(rest))
        calls.push({ ...half, args: half.args + rest, ended: line });
      continue;
    }
    const [, pid = '', name = '', args = ''] = /^(\d+) +(\w+)\((.*)$/.exec(text) ?? [];
    if (name === '') continue;
    if (args.endsWith('<unfinished ...>')) unfinished.set(`${pid} ${name}`, { name, args, began: line });
    else if (!/\) += -1 /.test(args)) calls.push({ name, args, began: line, ended: line });
  }
  return calls;
}

const ofJournal = (call: Call) => /^\d+<[^>]*journal\.lmdb>/.test(call.args);
const isWrite = (call: Call) => /^p?write/.test(call.name) && ofJournal(call);

/** Why an answer came too early: an empty list when every one came after its event was synced. */
function tooEarly(trace: string, users: readonly string[]): string[] {
  const calls = parseTrace(trace);
  const syncs = calls.filter((call) => /^(fdatasync|fsync)$/.test(call.name) && ofJournal(call));
  const writes = calls.filter(isWrite);
  const answers = calls.filter(
    (call) => /^(write|writev|sendto|sendmsg)$/.test(call.name) && call.args.includes('HTTP/1.1 200'),
  );
  const accepted = answers.filter((call) => call.args.includes('accepted'));
  const wrong: string[] = [];
  if (accepted.length !== users.length) wrong.push(`${accepted.length} answers for ${users.length} events`);
  for (const [n, user] of users.entries()) {
    const answer = accepted[n];
    const write = writes.find((call) => call.args.includes(`${user}\\"`));
    if (write === undefined) wrong.push(`${user}: not written`);
    else if (answer === undefined) wrong.push(`${user}: not answered`);
    else if (!syncs.some((sync) => sync.began > write.ended && sync.ended < answer.began))
      wrong.push(`${user}: no sync between line ${write.ended} (write) and line ${answer.began} (answer)`);
  }
  return wrong;
}

afterEach(killServers);

describe.skipIf(!hasStrace)(`durability${why}`, () => {
  it('answers 200 only after fdatasync of the journal has returned', async () => {
    const directory = temporaryDirectory();
    const log = join(directory, 'trace');
    const server = await startServer({
      directory,
      env: { DAYBOOK_LOADER_INTERVAL_MS: '60000' },
      under: ['strace', '-f', '-y', '-s', '70000', '-o', log, '-e', `trace=${CALLS}`],
    });
    // The first one goes into the warehouse at once; from then on the loader leaves the journal alone.
    const users = [`synced-first`, ...Array.from({ length: EVENTS }, (_, n) => `synced-${n}-user`)];
    for (const [n, user] of users.entries()) {
      expect((await send(`${server.url}/analytics/event`, makeEvent(user, n))).status).toBe(200);
      if (n === 0) expect(await control(directory, 'drain', 60_000)).toBe(true);
    }
    const { pid } = (await control(directory, 'status')) as { pid: number };
    process.kill(pid, 'SIGTERM');
    expect((await server.exit).code).toBe(0);

    const trace = readFileSync(log, 'utf8');
    expect(tooEarly(trace, users)).toEqual([]);
    // The check itself can fail: the same trace without its syncs, and with a user that was never written.
    const unsynced = trace
      .split('\n')
      .filter((line) => !/ (fdatasync|fsync)\(|<\.\.\. (fdatasync|fsync) /.test(line))
      .join('\n');
    expect(tooEarly(unsynced, users)).toHaveLength(users.length);
    expect(tooEarly(trace, [...users.slice(1), 'nobody'])).toContain('nobody: not written');
  });

  it('makes the commit itself durable: the meta page goes through a synchronous descriptor or is synced', async () => {
    const directory = temporaryDirectory();
    const log = join(directory, 'trace');
    const server = await startServer({
      directory,
      env: { DAYBOOK_LOADER_INTERVAL_MS: '60000' },
      under: ['strace', '-f', '-y', '-s', '70000', '-o', log, '-e', `trace=${CALLS}`],
    });
    await send(`${server.url}/analytics/event`, makeEvent('first', 1));
    expect(await control(directory, 'drain', 60_000)).toBe(true);
    for (let n = 0; n < 5; n += 1) await send(`${server.url}/analytics/event`, makeEvent(`meta-${n}`, n));
    const { pid } = (await control(directory, 'status')) as { pid: number };
    process.kill(pid, 'SIGTERM');
    await server.exit;

    const calls = parseTrace(readFileSync(log, 'utf8'));
    const synchronous = new Set(
      calls
        .filter(
          (call) =>
            call.name === 'openat' && call.args.includes('journal.lmdb') && /O_D?SYNC/.test(call.args),
        )
        .map((call) => /= (\d+)</.exec(call.args)?.[1]),
    );
    const answers = calls.filter(
      (call) => /^(write|writev)$/.test(call.name) && call.args.includes('accepted'),
    );
    expect(answers.length).toBe(6);
    for (const answer of answers) {
      const before = calls.filter((call) => call.ended < answer.began && ofJournal(call));
      const lastWrite = before.findLast(isWrite)!;
      const synced =
        synchronous.has(/^\d+/.exec(lastWrite.args)?.[0]) ||
        before.some((call) => call.name.endsWith('sync') && call.began > lastWrite.ended);
      expect(synced, `the last write before the answer: ${lastWrite.args.slice(0, 80)}`).toBe(true);
    }
  });
});
