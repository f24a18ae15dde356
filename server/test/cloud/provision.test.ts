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
      'make table events_daily_table',
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

  it('row 5: stops where another subscription writes the topic into the table already, and goes on without it', async () => {
    const google = await startGoogle();
    await google.provision();
    const topic = google.clients.pubsub.topic('analytics');
    const table = 'daybook-test.daybook.events';
    await topic.createSubscription('by-hand', { bigqueryConfig: { table: table.replace('.', ':') } });
    await topic.createSubscription('archive', { bigqueryConfig: { table: 'daybook-test.daybook.archive' } });
    await topic.createSubscription('other', {});
    await expect(google.provision()).rejects.toThrow(
      `subscription by-hand writes topic analytics into ${table} already: with another each event would be stored twice`,
    );
    await google.clients.pubsub.subscription('by-hand').delete();
    expect(await google.provision()).toEqual([]);
  });

  it('row 5: stops where its own subscription writes another table', async () => {
    const google = await startGoogle();
    await google.provision();
    await expect(google.provision({ BIGQUERY_TABLE_NAME: 'daybook.clicks' })).rejects.toThrow(
      'subscription analytics-bigquery writes daybook-test.daybook.events, and not daybook-test.daybook.clicks',
    );
  });

  it('row 4: lets columns of an older table be absent', async () => {
    const google = await startGoogle();
    const { place } = google.config.google;
    await google.clients.bigquery.dataset(place.dataset).create({ location: 'US' });
    await run(
      google,
      `CREATE TABLE ${tableSql(place, 'table')} (user_id STRING NOT NULL, page STRING NOT NULL)`,
    );
    const insert = `INSERT INTO ${tableSql(place, 'table')} (user_id) VALUES ('ann')`;
    await expect(run(google, insert)).rejects.toThrow(/NULL/i);
    expect(await google.provision()).toContain('let column page of table events be NULL');
    await run(google, insert);
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
