import { afterEach, expect, it } from 'vitest';
import { tableSql } from '../../src/warehouse/bigquery/names.ts';
import { killServers, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle } from './google.ts';

const OLDER = [
  'type',
  'session_id',
  'event_name',
  'event_time',
  'page',
  'country',
  'region',
  'city',
  'user_id',
];

describeWith(['pstest', 'bqemulator'], 'a server that is newer than its table', () => {
  afterEach(killServers);

  it.each([
    ['', {}],
    [' out of a journal', { DAYBOOK_JOURNAL: 'on' }],
  ])(
    'row 3: sends%s what the table has columns for, says so, and everything to a table that is whole',
    async (_, journal) => {
      const google = await startGoogle();
      const { place } = google.config.google;
      await google.clients.bigquery.dataset(place.dataset).create({ location: 'US' });
      const columns = OLDER.map((name) => `${name} ${name === 'event_time' ? 'INT64' : 'STRING'}`);
      const query = `CREATE TABLE ${tableSql(place, 'table')} (${columns.join(', ')})`;
      const [job] = await google.clients.bigquery.createQueryJob({ query });
      await job.getQueryResults({});
      await google.clients.pubsub.topic('analytics').create();

      const published = (count: number) =>
        expect
          .poll(async () => (await google.pubsub.data('analytics')).length, { timeout: 20_000 })
          .toBe(count);

      const directory = temporaryDirectory();
      const older = await startServer({ directory, env: { ...google.env, ...journal } });
      expect(
        (await send(`${older.url}/analytics/event`, { ...makeEvent('ann', 1), page: '/a' })).status,
      ).toBe(200);
      await expect
        .poll(() => older.log(), { timeout: 20_000 })
        .toMatch(/are missing: events are sent without them/);
      await published(1);
      await older.kill('SIGTERM');
      await google.provision();
      const whole = await startServer({ directory, env: { ...google.env, ...journal } });
      expect((await send(`${whole.url}/analytics/event`, makeEvent('bob', 2))).status).toBe(200);

      await published(2);
      const [first, second] = (await google.pubsub.data('analytics')).map(
        (data) => JSON.parse(data) as object,
      );
      expect(OLDER).toEqual(expect.arrayContaining(Object.keys(first!)));
      expect(first).toMatchObject({ user_id: 'ann', page: '/a' });
      expect(Object.keys(second!)).toEqual(
        expect.arrayContaining(['user_id', 'event_id', 'event_timestamp', 'received_at', 'project']),
      );
    },
  );
});
