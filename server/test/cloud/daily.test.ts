import { afterEach, expect, it, vi } from 'vitest';
import { doctor } from '../../src/cli/doctor.ts';
import { bigqueryOptions } from '../../src/drivers.ts';
import { rewriteDailyTable } from '../../src/warehouse/bigquery/daily-table.ts';
import { tableSql } from '../../src/warehouse/bigquery/names.ts';
import { BigqueryWarehouse } from '../../src/warehouse/bigquery/warehouse.ts';
import { killServers, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle, type TestGoogle } from './google.ts';

/* The table of days that the scheduled query makes anew; here the test runs its statement. */

async function run({ clients }: TestGoogle, query: string): Promise<unknown[]> {
  const [job] = await clients.bigquery.createQueryJob({ query });
  return (await job.getQueryResults({}))[0];
}

async function read(url: string, query = '') {
  const response = await fetch(`${url}/analytics/daily?date_format=iso${query}`);
  const body = (await response.json()) as { total_users: number; daily_stats: object[] };
  return { ...body, asOfMs: Date.parse(response.headers.get('daybook-as-of')!) };
}

async function doctorSays(env: Readonly<Record<string, string>>): Promise<string> {
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  try {
    await doctor({ ...env });
  } finally {
    write.mockRestore();
  }
  return lines.join('');
}

describeWith(['pstest', 'bqemulator'], 'the table of days', () => {
  afterEach(killServers);

  it('is what reports read once it was made, as of its run; fresh=true asks the views', async () => {
    const google = await startGoogle();
    await google.provision();
    await google.deliver();
    const server = await startServer({ directory: temporaryDirectory(), env: google.env });
    const post = async (user: string, second: number) => {
      expect((await send(`${server.url}/analytics/event`, makeEvent(user, second))).status).toBe(200);
      await google.delivered();
    };
    const rewrite = () => run(google, rewriteDailyTable(google.config.google.place, 'UTC'));

    // No run yet: the views, as of now.
    await post('ann', 1);
    const startedMs = Date.now();
    const views = await read(server.url);
    expect(views.total_users).toBe(1);
    expect(views.asOfMs).toBeGreaterThanOrEqual(startedMs);

    await rewrite();
    const madeMs = Date.now();
    await post('bob', 2);
    const kept = await read(server.url);
    expect(kept).toMatchObject({ total_users: 1, daily_stats: views.daily_stats });
    expect(kept.asOfMs).toBeGreaterThanOrEqual(startedMs);
    expect(kept.asOfMs).toBeLessThanOrEqual(madeMs);
    const fresh = await read(server.url, '&fresh=true');
    expect(fresh.total_users).toBe(2);
    expect(fresh.asOfMs).toBeGreaterThan(madeMs);
    expect((await read(server.url, '&timezone=Asia/Tehran')).total_users).toBe(2);
    expect((await send(`${server.url}/analytics/daily?fresh=1`)).status).toBe(400);

    // Late events and deletions: the next run has them.
    await rewrite();
    expect((await read(server.url)).total_users).toBe(2);
    await run(google, `DELETE FROM ${tableSql(google.config.google.place, 'table')} WHERE TRUE`);
    await rewrite();
    const none = await read(server.url);
    expect(none).toMatchObject({ total_users: 0, daily_stats: [] });
    expect(none.asOfMs).toBeGreaterThan(madeMs);
  });

  it('of another timezone is not shown', async () => {
    const google = await startGoogle();
    await google.provision();
    await run(google, rewriteDailyTable(google.config.google.place, 'Asia/Tehran'));
    const startedMs = Date.now();
    const server = await startServer({ directory: temporaryDirectory(), env: google.env });
    expect((await read(server.url)).asOfMs).toBeGreaterThanOrEqual(startedMs);
    await run(google, `DROP TABLE ${tableSql(google.config.google.place, 'daily_table')}`);
    expect((await read(server.url, '&from=2024-01-01&to=2024-01-02')).asOfMs).toBeGreaterThan(startedMs);
  });

  it('is held against the events of its moment by verify, and by its age by doctor and the log', async () => {
    const google = await startGoogle();
    const { place } = google.config.google;
    await google.provision();
    await google.deliver();
    const server = await startServer({ directory: temporaryDirectory(), env: google.env });
    for (const [index, user] of ['ann', 'bob'].entries())
      await send(`${server.url}/analytics/event`, makeEvent(user, index));
    await google.delivered();
    expect(await doctorSays(google.env)).toMatch(
      /note: daybook\.events_daily_table is not there, or was never made .* MB or \$[\d.]+ a load/,
    );
    const warehouse = new BigqueryWarehouse(bigqueryOptions(google.config));
    await warehouse.open();
    expect(await warehouse.verify()).toEqual([]);
    await run(google, rewriteDailyTable(place, 'UTC'));
    await send(`${server.url}/analytics/event`, makeEvent('cy', 3));
    await google.delivered();
    expect(await warehouse.verify()).toEqual([]);
    expect(await doctorSays(google.env)).toMatch(/✓ daybook\.events_daily_table is of 20/);

    const table = tableSql(place, 'daily_table');
    await run(google, `UPDATE ${table} SET active_users = active_users + 1 WHERE day IS NOT NULL`);
    expect(await warehouse.verify()).toEqual([{ rollup: 'daily_table', rows: 2 }]);
    await warehouse.close();
    await run(google, `UPDATE ${table} SET as_of = TIMESTAMP_SUB(as_of, INTERVAL 2 HOUR) WHERE TRUE`);
    expect(await doctorSays(google.env)).toMatch(/✗ .*12\d minutes ago, and should be made every 15 minutes/);
    await read(server.url);
    await expect
      .poll(() => server.log(), { timeout: 5_000 })
      .toMatch(/"minutes":12\d,"msg":"reports are old/);
  });
});
