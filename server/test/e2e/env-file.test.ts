import { execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../faults/stored.ts';
import { killServers, spawnServer, startServer } from './server-process.ts';

const COMMAND = join(import.meta.dirname, '../../dist/cli/daybook.js');
const PATH = process.env['PATH'] ?? '';

const daybook = (cwd: string, args: readonly string[], env: Record<string, string> = {}) =>
  promisify(execFile)(process.execPath, [COMMAND, ...args], { cwd, env: { PATH, ...env } });

describe('.env in the working directory', () => {
  afterEach(killServers);

  it('is read by the server and by every command', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, '.env'), 'DAYBOOK_TIMEZONE=Asia/Tehran\nDAYBOOK_DATA_DIR=here\n');
    const server = await startServer({ directory: join(directory, 'here'), cwd: directory });
    expect(server.output()).toContain('Days: Asia/Tehran');
    const { stdout } = await daybook(directory, ['doctor']);
    expect(stdout).toContain(`a server runs: process ${server.pid}`);
  });

  it('is overruled by the environment', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, '.env'), 'DAYBOOK_TIMEZONE=Asia/Tehran\n');
    const env = { DAYBOOK_TIMEZONE: 'Europe/Helsinki' };
    const server = await startServer({ directory, cwd: directory, env });
    expect(server.output()).toContain('Days: Europe/Helsinki');
  });

  it('is a fault of the configuration where a line cannot be read, with its number', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, '.env'), '# settings\nDAYBOOK_TIMEZONE Asia/Tehran\n');
    const said = /the configuration has a fault: \.env, line 2: must be NAME=value/;
    const server = spawnServer({ directory, cwd: directory });
    expect((await server.exit).code).toBe(78);
    expect(server.log()).toMatch(said);
    for (const command of ['serve', 'doctor', 'verify', 'export']) {
      await expect(daybook(directory, [command]), command).rejects.toMatchObject({
        code: 78,
        stderr: expect.stringMatching(said) as string,
      });
    }
  });
});

it('regression: a demo is embedded whatever the environment chooses', async () => {
  const directory = temporaryDirectory();
  const env = {
    PATH,
    PORT: '0',
    GOOGLE_CLOUD_PROJECT: 'acme-web',
    BIGQUERY_TABLE_NAME: 'web.events',
    PUBSUB_EMULATOR_HOST: '127.0.0.1:9',
  };
  const child = spawn(process.execPath, [COMMAND, 'demo', '--days', '2', '--events', '20'], {
    cwd: directory,
    env,
  });
  try {
    let output = '';
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    await expect
      .poll(() => output, { timeout: 30_000 })
      .toContain('Mode: embedded, because a demo is always embedded');
    expect(output).toMatch(/\d+ events over 2 days/);
  } finally {
    child.kill('SIGTERM');
  }
});
