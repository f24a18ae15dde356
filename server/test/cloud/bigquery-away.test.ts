import { afterEach, beforeEach, expect, it } from 'vitest';
import { createView } from '../../src/warehouse/bigquery/ddl.ts';
import { viewDefinitions } from '../../src/warehouse/bigquery/views.ts';
import { BigqueryWarehouse } from '../../src/warehouse/bigquery/warehouse.ts';
import { bigqueryOptions } from '../../src/drivers.ts';
import { killServers, startServer } from '../e2e/server-process.ts';
import { makeEvent, send } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { startCuttableProxy } from './cuttable-proxy.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle } from './google.ts';

describeWith(['pstest', 'bqemulator'], 'a BigQuery that goes away', () => {
  let directory: string;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(killServers);

  /** A provisioned project whose BigQuery is reached through a proxy that can be cut or stalled. */
  async function behindProxy() {
    const google = await startGoogle();
    await google.provision();
    const proxy = await startCuttableProxy(new URL(google.bigquery.apiEndpoint).host);
    const start = () =>
      startServer({
        directory,
        env: {
          ...google.env,
          BIGQUERY_EMULATOR_HOST: `http://${proxy.address}/bigquery/v2`,
          DAYBOOK_QUERY_TIMEOUT_MS: '3000',
        },
      });
    return { google, proxy, start };
  }

  it('shows in health and metrics, takes events all the while, and reports come back by themselves', async () => {
    const { proxy, start } = await behindProxy();
    const server = await start();
    const ready = async () =>
      JSON.parse((await send(`${server.url}/health/ready`)).text) as { status: string };
    const up = async () =>
      /^daybook_warehouse_up (\d)/m.exec((await send(`${server.url}/metrics`)).text)?.[1];
    expect((await send(`${server.url}/analytics/daily`)).status).toBe(200);
    expect(await ready()).toMatchObject({ status: 'ready' });
    await proxy.cut();
    expect([503, 504]).toContain((await send(`${server.url}/analytics/daily`)).status);
    expect((await send(`${server.url}/analytics/event`, makeEvent('u', 1))).status).toBe(200);
    expect(await up()).toBe('0');
    expect(await ready()).toMatchObject({ status: 'degraded', ingest: 'open' });
    await proxy.restore();
    await expect
      .poll(async () => (await send(`${server.url}/analytics/daily`)).status, { timeout: 30_000 })
      .toBe(200);
    expect(await up()).toBe('1');
    // Nobody knows here how fresh the table is; a figure would be a guess.
    expect((await send(`${server.url}/metrics`)).text).not.toMatch(/^daybook_freshness_seconds \d/m);
  });

  it('holds up neither the start nor the shutdown while it does not answer', async () => {
    const { proxy, start } = await behindProxy();
    proxy.stall();
    const startedMs = performance.now();
    const server = await start();
    expect((await send(`${server.url}/analytics/event`, makeEvent('u', 1))).status).toBe(200);
    const stopMs = performance.now();
    expect(stopMs - startedMs).toBeLessThan(10_000);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - stopMs).toBeLessThan(5_000);
  });

  it('verify() finds a view that says something else than the rows', async () => {
    const google = await startGoogle();
    await google.provision();
    const { place } = google.config.google;
    const rows = viewDefinitions(place, 'UTC').find(({ name }) => name === 'event_rows')!;
    const [job] = await google.clients.bigquery.createQueryJob({
      query: createView(place, { ...rows, sql: `${rows.sql} WHERE user_id <> 'u'` }),
    });
    await job.getQueryResults({});
    await google.deliver();
    const server = await startServer({ directory, env: { ...google.env } });
    await send(`${server.url}/analytics/event`, makeEvent('u', 1));
    await google.delivered();
    const warehouse = new BigqueryWarehouse(bigqueryOptions(google.config));
    await warehouse.open();
    const one = { rows: 1 };
    expect(await warehouse.verify()).toEqual([
      { rollup: 'users', ...one },
      { rollup: 'sessions', ...one },
      { rollup: 'user_days', ...one },
    ]);
  });
});
