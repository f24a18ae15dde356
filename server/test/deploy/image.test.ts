import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, type Stage } from './stand-in.ts';
import { ROOT } from './tool.ts';

const KEYS = { DAYBOOK_WRITE_KEYS: 'a-write-key-of-the-test', DAYBOOK_READ_KEYS: 'a-read-key-of-the-test' };
const ROOT_USER = process.getuid?.() === 0;

/** Names, sizes and times of all files below a folder, as one hash. */
function fingerprint(directory: string): string {
  const hash = createHash('sha256');
  for (const entry of readdirSync(directory, { recursive: true }).map(String).sort()) {
    const { size, mtimeMs, mode } = lstatSync(join(directory, entry));
    hash.update(`${entry}\0${size}\0${mtimeMs}\0${mode}\n`);
  }
  return hash.digest('hex');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

describe('the image, built by a stand-in for an engine', () => {
  let image: Stage;
  let app: string;
  let port: number;
  let server: ChildProcess;
  let output = '';
  let before: string;

  /** As a container would run it: nothing of this machine's environment, the image's user, its folder not writable. */
  const context = () => ({
    cwd: app,
    env: {
      ...image.env,
      ...KEYS,
      PATH: dirname(process.execPath),
      PORT: String(port),
      DAYBOOK_DATA_DIR: join(image.root, 'data'),
      TMPDIR: join(image.root, 'tmp'),
    },
    ...(ROOT_USER ? { uid: image.user, gid: image.user } : {}),
  });
  const url = (path: string) => `http://127.0.0.1:${port}${path}`;
  const program = (words: readonly string[]) =>
    promisify(execFile)(process.execPath, words.slice(1), context());

  beforeAll(async () => {
    image = build();
    app = join(image.root, 'app');
    chmodSync(join(image.root, 'tmp'), 0o1777);
    if (!ROOT_USER)
      for (const entry of readdirSync(app, { recursive: true })) chmodIfFile(join(app, String(entry)));
    before = fingerprint(app);
    port = await freePort();
    server = spawn(process.execPath, image.command.slice(1), {
      ...context(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [server.stdout, server.stderr])
      stream?.on('data', (chunk) => (output += String(chunk)));
    const deadline = Date.now() + 60_000;
    while (Date.now() < deadline && server.exitCode === null) {
      const ready = await fetch(url('/health/ready')).then(
        (response) => response.ok,
        () => false,
      );
      if (ready) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the server did not start:\n${output}`);
  });

  afterAll(() => {
    server?.kill('SIGKILL');
    if (image) rmSync(dirname(image.root), { recursive: true, force: true });
  });

  it('holds what the server needs at run time and no tool of its making', () => {
    for (const name of ['typescript', 'vitest', 'oxlint', 'prettier', 'node', 'autocannon']) {
      expect(existsSync(join(app, 'node_modules', name)), name).toBe(false);
    }
    expect(existsSync(join(app, 'server/src'))).toBe(false);
    expect(existsSync(join(app, 'node_modules/@google-cloud/pubsub'))).toBe(true);
  });

  it(`runs as ${ROOT_USER ? 'the image’s user, which is not root' : 'this user: only root can become another'}`, () => {
    expect(image.user).toBe(10_001);
    const owner = lstatSync(join(image.root, 'data/journal')).uid;
    expect(owner).toBe(ROOT_USER ? image.user : process.getuid?.());
  });

  it('passes its own health check', async () => {
    await expect(program(image.healthcheck)).resolves.toBeDefined();
  });

  it('passes what helm test asks, and stores nothing of it', async () => {
    const check = join(ROOT, 'deploy/helm/daybook/files/check.mjs');
    const env = { ...process.env, ...KEYS, DAYBOOK_URL: url('') };
    const { stdout } = await promisify(execFile)(process.execPath, [check], { env });
    expect(
      stdout
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('ok ')),
    ).toHaveLength(7);
    const answer = await fetch(url('/analytics/daily'), {
      headers: { authorization: `Bearer ${KEYS.DAYBOOK_READ_KEYS}` },
    });
    expect(await answer.json()).toEqual({ total_users: 0, daily_stats: [] });
  });

  it('fails what helm test asks when a key is wrong', async () => {
    const check = join(ROOT, 'deploy/helm/daybook/files/check.mjs');
    const env = {
      ...process.env,
      ...KEYS,
      DAYBOOK_READ_KEYS: 'another-key-altogether',
      DAYBOOK_URL: url(''),
    };
    await expect(promisify(execFile)(process.execPath, [check], { env })).rejects.toThrow(/Command failed/);
  });

  it('takes an event and shows it', async () => {
    const event = {
      type: 'event',
      event_name: 'x',
      user_id: 'u',
      session_id: 's',
      event_time: 1_638_352_800,
    };
    const sent = await fetch(url('/analytics/event'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEYS.DAYBOOK_WRITE_KEYS}` },
      body: JSON.stringify(event),
    });
    expect(sent.status).toBe(200);
    const headers = { authorization: `Bearer ${KEYS.DAYBOOK_READ_KEYS}` };
    await expect
      .poll(async () => (await fetch(url('/analytics/daily'), { headers })).json(), { timeout: 10_000 })
      .toMatchObject({ total_users: 1 });
  });

  it('has the command', async () => {
    const { stdout } = await program(['node', 'server/dist/cli/daybook.js', '--help']);
    expect(stdout).toMatch(/doctor/);
  });

  it('refuses to start for Google Cloud without keys, and says the whole command with keys', async () => {
    const { cwd, env, ...user } = context();
    const { DAYBOOK_WRITE_KEYS: _write, DAYBOOK_READ_KEYS: _read, ...rest } = env;
    const google = {
      ...rest,
      GOOGLE_APPLICATION_CREDENTIALS: '/var/secrets/google/key.json',
      GOOGLE_CLOUD_PROJECT: 'acme-web',
      BIGQUERY_TABLE_NAME: 'acme-web.web.events',
    };
    const started = promisify(execFile)(process.execPath, image.command.slice(1), {
      cwd,
      env: google,
      ...user,
    });
    await expect(started).rejects.toMatchObject({
      code: 78,
      stderr: expect.stringMatching(
        /docker run -p 3000:3000 [^]*BIGQUERY_TABLE_NAME=acme-web\.web\.events [^]*DAYBOOK_READ_KEYS=\S{32} [^]*analytics-endpoint[^]*DAYBOOK_ALLOW_ANONYMOUS=on/,
      ) as string,
    });
  });

  it.skipIf(!ROOT_USER)(
    'says mode and owner of a key file that its user cannot read (needs root)',
    async () => {
      const key = join(image.root, 'tmp/key.json');
      writeFileSync(key, '{"type":"service_account"}', { mode: 0o600 });
      const { cwd, env, ...user } = context();
      const google = { ...env, GOOGLE_APPLICATION_CREDENTIALS: key, GOOGLE_CLOUD_PROJECT: 'acme-web' };
      const started = promisify(execFile)(process.execPath, image.command.slice(1), {
        cwd,
        env: google,
        ...user,
      });
      await expect(started).rejects.toMatchObject({
        code: 78,
        stderr: expect.stringMatching(
          /cannot be read by user 10001.*mode is 0600, its owner user 0/,
        ) as string,
      });
    },
  );

  it('ends on SIGTERM in time, with nothing written beside /data and /tmp', async () => {
    const started = performance.now();
    server.kill('SIGTERM');
    const [code] = (await once(server, 'exit')) as [number | null];
    expect(code, output).toBe(0);
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(fingerprint(app)).toBe(before);
  });

  it('makes keys at the first start without them, prints them once, and knows them afterwards', async () => {
    const { cwd, env, ...user } = context();
    const { DAYBOOK_WRITE_KEYS: _write, DAYBOOK_READ_KEYS: _read, ...rest } = env;
    const start = async () => {
      const child = spawn(process.execPath, image.command.slice(1), { cwd, env: rest, ...user });
      let text = '';
      child.stdout.on('data', (chunk) => (text += String(chunk)));
      await expect.poll(() => text, { timeout: 30_000 }).toContain('Daybook listens on');
      return { text, stop: () => (child.kill('SIGTERM'), once(child, 'exit')) };
    };
    const first = await start();
    const key = /read key: (\S+)/.exec(first.text)?.[1];
    await first.stop();
    const second = await start();
    expect(second.text).not.toMatch(/read key:/);
    const authorization = `Bearer ${key}`;
    expect((await fetch(url('/analytics/daily'), { headers: { authorization } })).status).toBe(200);
    expect((await fetch(url('/analytics/daily'))).status).toBe(401);
    await second.stop();
    expect(lstatSync(join(image.root, 'data/keys.json')).mode & 0o777).toBe(0o600);
  });
});

function chmodIfFile(path: string): void {
  if (!lstatSync(path).isSymbolicLink()) chmodSync(path, lstatSync(path).mode & ~0o222);
}
