import { afterEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../faults/stored.ts';
import { makeEvent, send } from '../faults/load.ts';
import { killServers, startServer } from './server-process.ts';

/** Tells on standard error what is loaded of Google's clients, on every thread. */
const WATCH = `import { registerHooks } from 'node:module';
registerHooks({
  resolve: (name, context, next) => {
    if (/^(@google-cloud|google-)/.test(name)) console.error('loads ' + name);
    return next(name, context);
  },
});`;
const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(WATCH)}`;

describe('what a server loads', () => {
  afterEach(killServers);

  it("is nothing of Google's clients in the embedded mode, taking events and answering reports", async () => {
    const server = await startServer({ directory: temporaryDirectory(), env: { NODE_OPTIONS } });
    expect((await send(`${server.url}/analytics/event`, makeEvent('ann', 1))).status).toBe(200);
    await expect
      .poll(async () => (await send(`${server.url}/analytics/daily`)).text)
      .toContain('"total_users":1');
    expect(server.log()).not.toContain('loads ');
  });

  it('is what is seen by this test in the google mode', async () => {
    const env = {
      NODE_OPTIONS,
      DAYBOOK_WAREHOUSE: 'bigquery',
      GOOGLE_CLOUD_PROJECT: 'acme-web',
      PUBSUB_EMULATOR_HOST: '127.0.0.1:9',
      BIGQUERY_EMULATOR_HOST: 'http://127.0.0.1:9',
    };
    const server = await startServer({ directory: temporaryDirectory(), env });
    expect(server.log()).toContain('loads @google-cloud/pubsub');
    expect(server.log()).toContain('loads @google-cloud/bigquery');
  });
});
