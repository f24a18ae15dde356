import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Event } from '../../src/event/event.ts';
import { tableSql } from '../../src/warehouse/bigquery/names.ts';
import { killServers, startServer } from '../e2e/server-process.ts';
import { send } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { world } from '../fixtures/world.ts';
import { referenceReport } from '../reference.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle, type TestGoogle } from './google.ts';

/* From HTTP to the report, with Google's own Pub/Sub server, a BigQuery emulator, and a stand-in for what delivers. */

describeWith(['pstest', 'bqemulator'], 'the way through Google Cloud', () => {
  let directory: string;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(killServers);

  const start = (google: TestGoogle, env: Record<string, string> = {}) =>
    startServer({ directory, env: { ...google.env, ...env } });

  const read = async (url: string, query = '') =>
    JSON.parse((await send(`${url}/analytics/daily?date_format=iso${query}`)).text) as unknown;

  it.each([1, 2, 3])('counts as the naive reference does (%i)', async (seed) => {
    const [{ batches, timezone, asked } = { batches: [], timezone: 'UTC', asked: 'UTC' }] = fc.sample(world, {
      seed,
      numRuns: 1,
    });
    const google = await startGoogle({ DAYBOOK_TIMEZONE: timezone });
    await google.provision();
    await google.deliver();
    const server = await start(google);
    for (const batch of batches) {
      expect((await send(`${server.url}/analytics/events`, batch)).status).toBe(200);
    }
    await google.delivered();
    const sent = batches.flat();
    expect(await read(server.url)).toEqual(referenceReport(sent, timezone));
    expect(await read(server.url, `&timezone=${asked}`)).toEqual(referenceReport(sent, asked));
  });

  it('goes on with a table of the old schema and its rows', async () => {
    const google = await startGoogle();
    const { place } = google.config.google;
    const table = tableSql(place, 'table');
    await google.clients.bigquery.dataset(place.dataset).create({ location: 'US' });
    await run(
      google,
      `CREATE TABLE ${table} (type STRING, session_id STRING, event_name STRING, event_time INT64, page STRING,
        country STRING, region STRING, city STRING, user_id STRING)`,
    );
    const old = [
      makeEvent('ann', 's1', 1_638_352_800),
      makeEvent('ann', 's1', 1_638_352_845),
      makeEvent('bob', 's2', 1_638_439_200),
    ];
    const rows = old.map(
      (event) => `('event', '${event.session_id}', 'e', ${event.event_time}, '${event.user_id}')`,
    );
    await run(
      google,
      `INSERT INTO ${table} (type, session_id, event_name, event_time, user_id) VALUES ${rows.join(', ')}`,
    );
    expect(await google.provision()).toContain(
      'add to table events the columns event_id, event_timestamp, received_at, project, properties',
    );
    expect(await google.provision()).toEqual([]);
    await google.deliver();
    const server = await start(google);
    expect(await read(server.url)).toEqual(referenceReport(old, 'UTC'));
    const fresh = [makeEvent('ann', 's1', 1_638_352_845.5), makeEvent('cy', 's3', 1_638_439_260.25)];
    await send(`${server.url}/analytics/events`, fresh);
    await google.delivered();
    expect(await read(server.url)).toEqual(referenceReport([...old, ...fresh], 'UTC'));
  });

  it('shows what BigQuery refused among the dead letters, with the reason, and counts the rest', async () => {
    const google = await startGoogle();
    await google.provision();
    await google.deliver();
    const server = await start(google);
    await publishRaw(google, '{"event_id":"x","surprise":1}');
    await send(`${server.url}/analytics/event`, makeEvent('ann', 's1', 1_638_352_800));
    await google.delivered();
    await google.delivered();
    const answer = await send(`${server.url}/analytics/dead-letters`);
    expect(JSON.parse(answer.text)).toMatchObject({
      dead_letters: [{ reason: 'rejected', body: '{"event_id":"x","surprise":1}' }],
    });
    expect(answer.text).toMatch(/surprise/);
    expect(await read(server.url)).toMatchObject({ total_users: 1 });
  });

  it('takes events and says why reports are not there, while BigQuery is not provisioned', async () => {
    const google = await startGoogle();
    await google.clients.pubsub.topic('analytics').create();
    const server = await start(google);
    expect((await send(`${server.url}/analytics/event`, makeEvent('ann', 's1', 1_638_352_800))).status).toBe(
      200,
    );
    expect((await send(`${server.url}/analytics/daily`)).status).toBe(503);
    const ready = await send(`${server.url}/health/ready`);
    expect(JSON.parse(ready.text)).toEqual({ status: 'degraded', ingest: 'open', warehouse: 'unavailable' });
    expect(server.log()).toContain('daybook gcp provision');
  });
});

function makeEvent(user: string, session: string, time: number): Event {
  return { type: 'event', event_name: 'e', user_id: user, session_id: session, event_time: time };
}

async function run({ clients }: TestGoogle, query: string): Promise<void> {
  const [job] = await clients.bigquery.createQueryJob({ query });
  await job.getQueryResults({});
}

function publishRaw({ clients }: TestGoogle, data: string): Promise<void> {
  return new Promise((resolve, reject) => {
    clients.pubsub.topic('analytics').publishMessage({ data: Buffer.from(data) }, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
