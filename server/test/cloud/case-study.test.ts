import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { build } from '../deploy/stand-in.ts';
import { installParsers } from '../deploy/tools.ts';
import { killServers, startServer } from '../e2e/server-process.ts';
import { send } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle, type TestGoogle } from './google.ts';

/* Three settings in a `.env`, and nothing else said: events go to the topic, and the report comes from the table. */

/** A key file as Google makes them; its key opens nothing. */
function keyFile(projectId: string): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  return JSON.stringify({
    type: 'service_account',
    project_id: projectId,
    private_key_id: '0123456789abcdef',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_email: `daybook@${projectId}.iam.gserviceaccount.com`,
    client_id: '100000000000000000000',
    token_uri: 'https://oauth2.googleapis.com/token',
  });
}

const EVENT = {
  type: 'event',
  session_id: '8c7f1a9e',
  event_name: 'page_view',
  event_time: 1_638_352_800,
  page: '/pricing',
  country: 'FI',
  region: 'Uusimaa',
  city: 'Helsinki',
  user_id: 'a5b1c2d3',
};

describeWith(['pstest', 'bqemulator'], 'the documented set-up', () => {
  afterEach(killServers);

  const TABLE = 'daybook-test.web.events';

  /** A project with everything in it, and the three settings with which it is documented. */
  async function project(): Promise<{
    google: TestGoogle;
    directory: string;
    settings: Record<string, string>;
  }> {
    const google = await startGoogle({ BIGQUERY_TABLE_NAME: TABLE });
    await google.provision();
    await google.deliver();
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'key.json'), keyFile('daybook-test'));
    const settings = {
      GOOGLE_APPLICATION_CREDENTIALS: join(directory, 'key.json'),
      GOOGLE_CLOUD_PROJECT: google.pubsub.projectId,
      BIGQUERY_TABLE_NAME: TABLE,
      // The engines of this test in place of Google.
      ...google.pubsub.env,
      ...google.bigquery.env,
    };
    return { google, directory, settings };
  }

  /** The documented requests: the event arrives in the topic, and the report comes from the table. */
  async function postAndGet(google: TestGoogle, server: { url: string; output(): string }): Promise<void> {
    expect(server.output()).toContain('Mode: Google Cloud, because BIGQUERY_TABLE_NAME is set');
    expect(server.output()).toContain(
      'Topic: projects/daybook-test/topics/analytics   Table: daybook-test.web.events',
    );
    expect((await send(`${server.url}/analytics/event`, EVENT)).status).toBe(200);
    const published = (await google.pubsub.data('analytics')).map((data) => JSON.parse(data) as object);
    expect(published).toEqual([expect.objectContaining(EVENT)]);
    await google.delivered();
    await expect
      .poll(async () => JSON.parse((await send(`${server.url}/analytics/daily`)).text) as unknown, {
        timeout: 20_000,
        interval: 500,
      })
      .toEqual({
        total_users: 1,
        daily_stats: [
          { date: '12/01/2021', average_session_duration: 0, active_user_count: 1, new_user_count: 1 },
        ],
      });
  }

  it('row 1: three settings in a .env publish to the topic and report from the table', async () => {
    const { google, directory, settings } = await project();
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(join(directory, '.env'), lines.join(''));

    const command = join(import.meta.dirname, '../../dist/cli/daybook.js');
    const env = { PATH: process.env['PATH'] };
    const doctor = await promisify(execFile)(process.execPath, [command, 'doctor'], { cwd: directory, env });
    expect(doctor.stdout).toContain(
      'the configuration is valid: Google Cloud, because BIGQUERY_TABLE_NAME is set',
    );
    expect(doctor.stdout).toMatch(
      /✓ BigQuery is open\n✓ note: web\.events_daily_table .* each report reads the views, 31\.5 MB or \$0\.00018 a load\n✓ topic analytics takes events\n/,
    );

    await postAndGet(google, await startServer({ directory, cwd: directory }));
  });

  it('row 1: the files of the image do the same, run without an engine', { timeout: 400_000 }, async () => {
    if (!existsSync(join(import.meta.dirname, '../deploy/tools/node_modules'))) installParsers();
    const { google, directory, settings } = await project();
    const image = build();
    try {
      const app = join(image.root, 'app');
      const env = { ...image.env, ...settings, PORT: '0', DAYBOOK_ALLOW_ANONYMOUS: 'on' };
      const main = join(app, image.command[1]!);
      await postAndGet(google, await startServer({ directory, cwd: app, main, env }));
    } finally {
      killServers();
      rmSync(dirname(image.root), { recursive: true, force: true });
    }
  });

  it('row 1: a project alone, as many shells set it, leaves the embedded mode and says so', async () => {
    const directory = temporaryDirectory();
    const server = await startServer({
      directory,
      cwd: directory,
      env: { GOOGLE_CLOUD_PROJECT: 'acme-web' },
    });
    expect(server.output()).toMatch(
      /Mode: embedded, because GOOGLE_CLOUD_PROJECT alone does not choose Google Cloud/,
    );
    expect(server.output()).toContain(`Data: ${directory}`);
  });
});
