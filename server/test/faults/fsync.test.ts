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

const ofJournal = (call: Call) => /^\d+<[^>]*\/journal\/\d+\.log>/.test(call.args);
const descriptor = (call: Call) => /^\d+/.exec(call.args)?.[0];

/** Whether the descriptor that is written to was opened so that a write is durable when it returns. */
function openedSynchronous(calls: readonly Call[], write: Call): boolean {
  const opened = calls.findLast(
    ({ name, args, ended }) =>
      name === 'openat' && ended < write.began && args.includes(`= ${descriptor(write)}<`),
  );
  return /\/journal\/[^/]+".*O_D?SYNC/.test(opened?.args ?? '');
}

/** Why an answer came too early: an empty list when every one came after a durable write of its event had returned. */
function tooEarly(trace: string, users: readonly string[]): string[] {
  const calls = parseTrace(trace);
  const writes = calls.filter((call) => /^p?write/.test(call.name) && ofJournal(call));
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
    else if (!openedSynchronous(calls, write)) wrong.push(`${user}: not a synchronous write`);
    else if (write.ended > answer.began)
      wrong.push(`${user}: written by line ${write.ended}, answered at line ${answer.began}`);
  }
  return wrong;
}

afterEach(killServers);

describe.skipIf(!hasStrace)(`durability${why}`, () => {
  it('answers 200 only after the synchronous write to the journal has returned', async () => {
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
    // The check itself can fail: the same trace with a plain descriptor, and with a user that was never written.
    expect(tooEarly(trace.replaceAll('O_DSYNC', 'O_APPEND'), users)).toHaveLength(users.length);
    expect(tooEarly(trace, [...users.slice(1), 'nobody'])).toContain('nobody: not written');
  });

  it('names a segment for good before the first answer out of it', async () => {
    const directory = temporaryDirectory();
    const log = join(directory, 'trace');
    const server = await startServer({
      directory,
      under: [
        'strace',
        '-f',
        '-y',
        '-s',
        '2000',
        '-o',
        log,
        '-e',
        `trace=${CALLS},rename,renameat,renameat2`,
      ],
    });
    expect((await send(`${server.url}/analytics/event`, makeEvent('first', 1))).status).toBe(200);
    const { pid } = (await control(directory, 'status')) as { pid: number };
    process.kill(pid, 'SIGTERM');
    await server.exit;

    const calls = parseTrace(readFileSync(log, 'utf8'));
    const named = calls.find(
      ({ name, args }) => name.startsWith('rename') && /\/journal\/\d+\.log"/.test(args),
    )!;
    const zeros = calls.find(
      ({ name, args }) => /^f(data)?sync$/.test(name) && /\/journal\/next-[0-9a-f]+>/.test(args),
    )!;
    const folder = calls.find(({ name, args }) => name === 'fsync' && args.includes('/journal>'))!;
    const answer = calls.find(({ args }) => args.includes('HTTP/1.1 200') && args.includes('accepted'))!;
    expect(zeros.ended).toBeLessThan(named.began);
    expect(named.ended).toBeLessThan(folder.began);
    expect(folder.ended).toBeLessThan(answer.began);
  });
});
