import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import {
  killServers,
  runCommand,
  spawnServer,
  startServer,
  type ServerProcess,
} from '../e2e/server-process.ts';
import { makeEvent, type Random, seededRandom, send } from './load.ts';
import { readStored, temporaryDirectory } from './stored.ts';

/*
 * A second process meets a first one on the same data directory, in every state of the first and with every command that
 * writes. Whatever is acknowledged, by either, is stored once.
 */

/** FAULT_TRIALS raises it. Each is a first process, a state and a second process. */
const TRIALS = Number(process.env['FAULT_TRIALS'] ?? 200);
/** Trials on one directory, one after the other; then all that is stored is compared. */
const TRIALS_EACH = 10;

/** Directories that are worked on at the same time: most of a trial is waiting. */
const AT_ONCE = 3;

/** What happens to the first process before the second one begins. */
const STATES = [
  'running',
  'socket removed',
  'lock removed',
  'killed',
  'starting',
  // SIGSTOP, until the second one is under way.
  'stopped for a while',
  // SIGSTOP, until the second one has ended.
  'stopped, lock and socket removed',
  // The lock goes while the second one waits for it.
  'socket removed, then the lock',
] as const;
type State = (typeof STATES)[number];

/** The lock can be had, so that `restore --force` may replace what is stored. */
const FREE: readonly State[] = ['killed', 'starting', 'stopped, lock and socket removed'];

const SECONDS = ['serve', 'import', 'restore', 'backup', 'doctor', 'verify', 'export'] as const;
type Second = (typeof SECONDS)[number];

afterEach(killServers);

/** One data directory over its trials, and which users must be in it. */
class Trials {
  readonly directory: string;
  readonly #root: string;
  readonly #random: Random;
  /** Of the second processes: where the socket does not fit into the directory they look elsewhere by TMPDIR. */
  readonly #env: Record<string, string>;
  readonly #name: string;
  #expected = new Set<string>();
  #copied: ReadonlySet<string> = new Set();
  /** Users whose event was sent and not acknowledged, or may have been: stored or not, both are right. */
  readonly #possible = new Set<string>();
  #count = 0;
  acknowledged = 0;

  constructor(root: string, name: string, random: Random) {
    this.#root = root;
    this.#name = name;
    this.#random = random;
    this.directory = join(root, name);
    const elsewhere = join(root, 'tmp');
    mkdirSync(elsewhere, { recursive: true });
    this.#env = { TMPDIR: elsewhere };
  }

  /** Something to restore. */
  async prepare(): Promise<void> {
    const server = await startServer({ directory: this.directory });
    await this.#post(server.url);
    expect(await this.#command(['backup', join(this.#root, `${this.#name}-copy`)])).toMatchObject({
      code: 0,
    });
    this.#copied = new Set(this.#expected);
    await server.kill('SIGKILL');
  }

  async run(state: State, second: Second): Promise<void> {
    const first = spawnServer({ directory: this.directory });
    const url = state === 'starting' ? undefined : await first.ready;
    if (url !== undefined) await this.#post(url);
    // A backup opens and closes DuckDB's file, which must not cost the server its lock.
    if (url !== undefined && this.#random.next() < 0.3) {
      const copy = join(this.#root, `${this.#name}-${this.#count}-before`);
      expect(await this.#command(['backup', copy])).toMatchObject({ code: 0 });
    }
    await this.#reach(state, first);
    // The first one is written to all the while.
    const over = new AbortController();
    const posting = this.#postWhile(first, over.signal);
    if (state === 'stopped for a while')
      setTimeout(() => process.kill(first.pid, 'SIGCONT'), this.#random.int(300, 2_000));
    const stop = new AbortController();
    if (state === 'socket removed, then the lock') void this.#removeLockWhile(stop.signal);
    await this.#second(second, state);
    stop.abort();
    if (state === 'stopped, lock and socket removed') {
      process.kill(first.pid, 'SIGCONT');
      await sleep(400);
    }
    over.abort();
    await posting;
    await first.kill('SIGKILL');
  }

  async #reach(state: State, first: ServerProcess): Promise<void> {
    if (state.startsWith('stopped')) process.kill(first.pid, 'SIGSTOP');
    if (state.includes('socket removed')) rmSync(join(this.directory, 'control.sock'), { force: true });
    if (['lock removed', 'stopped, lock and socket removed'].includes(state))
      rmSync(join(this.directory, 'lock'));
    if (state === 'killed') await first.kill('SIGKILL');
    if (state === 'starting') await sleep(this.#random.int(0, 600));
  }

  /** Again and again: the first process makes the file anew, the second one waits for a second at most. */
  async #removeLockWhile(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await sleep(this.#random.int(100, 600));
      rmSync(join(this.directory, 'lock'), { force: true });
    }
  }

  async #second(second: Second, state: State): Promise<void> {
    const path = join(this.#root, `${this.#name}-${this.#count}`);
    switch (second) {
      case 'serve':
        return this.#serve();
      case 'import':
        return this.#import(`${path}.ndjson`);
      case 'restore':
        return this.#restore(state);
      case 'backup':
        return void (await this.#command(['backup', `${path}-copy`]));
      case 'export':
        return void (await this.#command(['export', '--output', `${path}.out`]));
      default:
        return void (await this.#command([second]));
    }
  }

  async #serve(): Promise<void> {
    const server = spawnServer({ directory: this.directory, env: this.#env });
    const url = await server.ready.catch(() => undefined);
    if (url === undefined) expect(server.log()).toMatch(/uses .* already|was removed|did not answer/);
    else await this.#post(url);
    await server.kill('SIGKILL');
  }

  async #import(path: string): Promise<void> {
    const users = [this.#user(), this.#user()];
    for (const user of users) this.#possible.add(user);
    writeFileSync(path, users.map((user) => `${JSON.stringify(this.#event(user))}\n`).join(''));
    const { code, text } = await this.#command(['import', path]);
    if (code !== 0) return;
    expect(text).toContain('2 accepted');
    for (const user of users) this.#expected.add(user);
  }

  /** Replaces what is stored only where nobody works on the directory. */
  async #restore(state: State): Promise<void> {
    const before = new Set(this.#expected);
    const { code, text } = await this.#command([
      'restore',
      '--force',
      join(this.#root, `${this.#name}-copy`),
    ]);
    if (code !== 0) {
      expect(text).toMatch(/uses .* already|was removed|did not answer/);
      return;
    }
    expect(FREE).toContain(state);
    for (const user of before) if (!this.#copied.has(user)) this.#expected.delete(user);
    for (const user of this.#copied) this.#expected.add(user);
  }

  async #postWhile(first: ServerProcess, over: AbortSignal): Promise<void> {
    const url = await first.ready.catch(() => undefined);
    if (url === undefined) return;
    while (!over.aborted) {
      await this.#post(url).catch(() => undefined);
      await sleep(20);
    }
  }

  /** Three events; those that are acknowledged must be stored. */
  async #post(url: string): Promise<void> {
    const users = [this.#user(), this.#user(), this.#user()];
    for (const user of users) this.#possible.add(user);
    const sent = users.map(async (user) => {
      const { status } = await send(`${url}/analytics/event`, this.#event(user));
      expect([200, 503]).toContain(status);
      if (status !== 200) return;
      this.acknowledged += 1;
      this.#expected.add(user);
    });
    await Promise.all(sent);
  }

  #user(): string {
    return `${this.#name.split('-')[0]}-${(this.#count += 1)}`;
  }

  #event(user: string) {
    return makeEvent(user, this.#count);
  }

  async #command(args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
    const { code, out, err } = await runCommand(args, {
      directory: this.directory,
      env: this.#env,
      timeoutMs: 60_000,
    });
    return { code, text: out + err };
  }

  /** What is stored other than it should be. */
  async contradictions(): Promise<string[]> {
    const server = await startServer({ directory: this.directory });
    const drained = await this.#command(['verify']);
    expect(drained).toMatchObject({ code: 0 });
    await server.kill('SIGTERM');
    const { users, faults } = await readStored(this.directory);
    const lost = [...this.#expected].filter((user) => !users.has(user)).map((user) => `${user}: lost`);
    const twice = [...users].filter(([, events]) => events > 1).map(([user]) => `${user}: stored twice`);
    const unknown = [...users.keys()]
      .filter((user) => !this.#possible.has(user))
      .map((user) => `${user}: never sent`);
    return [...lost, ...twice, ...unknown, ...faults.map(({ rollup }) => `${rollup}: differs`)];
  }
}

/** Every state with every second process, in an order of their own, as often as it takes. */
function* pairs(random: Random): Generator<readonly [State, Second], never, void> {
  for (;;) {
    const all = STATES.flatMap((state) => SECONDS.map((second) => [state, second] as const));
    while (all.length > 0) yield all.splice(random.int(0, all.length - 1), 1)[0]!;
  }
}

it(`two processes on one data directory lose and repeat nothing in ${TRIALS} trials`, async () => {
  const random = seededRandom('two-processes');
  const root = temporaryDirectory();
  const next = pairs(random);
  const wrong: string[] = [];
  let left = Math.ceil(TRIALS / TRIALS_EACH);
  let acknowledged = 0;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      // Every other path is too long for a socket.
      const trials = new Trials(root, left % 2 === 0 ? `d${left}` : `d${left}-${'long'.repeat(30)}`, random);
      await trials.prepare();
      const done: string[] = [];
      for (let trial = 0; trial < TRIALS_EACH; trial += 1) {
        const [state, second] = next.next().value;
        done.push(`${state} / ${second}`);
        await trials.run(state, second);
      }
      const found = await trials.contradictions();
      wrong.push(...found.map((text) => `${text} (${done.join(', ')})`));
      acknowledged += trials.acknowledged;
      console.log(`two-processes: ${done.length} trials, ${found.length} contradictions: ${done.join(', ')}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log(`two-processes: ${acknowledged} events acknowledged`);
  expect(wrong).toEqual([]);
  expect(acknowledged).toBeGreaterThan(TRIALS * 3);
}, 3_600_000);
