import { afterEach, expect, it } from 'vitest';
import { killServers, startServer } from '../e2e/server-process.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { BYTES_BILLED, startAnswers } from './answers.ts';

afterEach(killServers);

it('each report says what BigQuery bills for it, and nothing where it was kept', async () => {
  const answers = await startAnswers();
  const env = {
    DAYBOOK_WAREHOUSE: 'bigquery',
    GOOGLE_CLOUD_PROJECT: 'acme-web',
    BIGQUERY_TABLE_NAME: 'web.events',
    DAYBOOK_BIGQUERY_LOCATION: 'EU',
    PUBSUB_EMULATOR_HOST: '127.0.0.1:9',
    BIGQUERY_EMULATOR_HOST: answers.baseUrl,
  };
  const server = await startServer({ directory: temporaryDirectory(), env });
  const billed = async (query = '') => {
    const response = await fetch(`${server.url}/analytics/daily${query}`);
    expect(response.status).toBe(200);
    return response.headers.get('daybook-bytes-billed');
  };
  await expect
    .poll(async () => (await fetch(`${server.url}/analytics/daily?from=2024-01-01`)).status)
    .toBe(200);
  // Its table of days has no run: that is asked first, then the views.
  expect(await billed()).toBe(String(2 * Number(BYTES_BILLED)));
  expect(await billed()).toBe('0');
  expect(await billed('?fresh=true')).toBe('0');
  expect(await billed('?fresh=true&to=2024-01-02')).toBe(BYTES_BILLED);
  await answers.stop();
});
