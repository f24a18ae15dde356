import { expect, it } from 'vitest';
import { tableSql } from '../../src/warehouse/bigquery/names.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle, type TestGoogle } from './google.ts';

describeWith(['pstest', 'bqemulator'], 'provisioning', () => {
  it('makes everything, and the second time nothing', async () => {
    const google = await startGoogle();
    expect(await google.provision()).toEqual([
      'make dataset daybook in US',
      'make table events',
      'make table events_dead_letters_raw',
      'make materialized view events_users',
      'make materialized view events_sessions',
      'make materialized view events_user_days',
      'make view events_daily',
      'make view events_rows',
      'make view events_distinct',
      'make view events_dead_letters',
      'make view events_version',
      'make topic analytics',
      'make topic analytics-dead-letters',
      'make subscription analytics-dead-letters-bigquery of topic analytics-dead-letters',
      'make subscription analytics-bigquery of topic analytics',
    ]);
    expect(await google.provision()).toEqual([]);
  });

  it('makes the views anew for another timezone, and leaves the tables', async () => {
    const google = await startGoogle();
    await google.provision();
    const again = await google.provision({ DAYBOOK_TIMEZONE: 'Asia/Tehran' });
    expect(again).toContain('make materialized view events_user_days, which is another');
    expect(again.filter((what) => !/view/.test(what))).toEqual([]);
    expect(await google.provision({ DAYBOOK_TIMEZONE: 'Asia/Tehran' })).toEqual([]);
  });

  it('makes again what is missing alone', async () => {
    const google = await startGoogle();
    await google.provision();
    await google.clients.pubsub.subscription('analytics-bigquery').delete();
    await run(google, `DROP VIEW ${tableSql(google.config.google.place, 'dead_letters')}`);
    expect(await google.provision()).toEqual([
      'make view events_dead_letters',
      'make view events_version',
      'make subscription analytics-bigquery of topic analytics',
    ]);
  });

  it('refuses a table whose columns are of other types, by name', async () => {
    const google = await startGoogle();
    const { place } = google.config.google;
    await google.clients.bigquery.dataset(place.dataset).create({ location: 'US' });
    await run(google, `CREATE TABLE ${tableSql(place, 'table')} (user_id INT64)`);
    await expect(google.provision()).rejects.toThrow('events.user_id is INTEGER and must be STRING');
  });
});

async function run({ clients }: TestGoogle, query: string): Promise<void> {
  const [job] = await clients.bigquery.createQueryJob({ query });
  await job.getQueryResults({});
}
