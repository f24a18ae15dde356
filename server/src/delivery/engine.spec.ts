import { describe, expect, it } from 'vitest';
import type { BigqueryClient } from '../warehouse/bigquery/client.ts';
import { viewVersions } from '../warehouse/bigquery/views.ts';
import { Engine } from './engine.ts';

/** A warehouse that only answers: its views are there, and what is asked later has no end. */
function endlessClient(): BigqueryClient {
  const versions = [...viewVersions('UTC')].map(([name, version]) => ({ view_name: name, version }));
  let jobs = 0;
  // It may not look at tables, only ask.
  const getMetadata = () => Promise.reject(Object.assign(new Error('Access Denied'), { code: 403 }));
  return {
    dataset: () => ({ getMetadata, table: () => ({ getMetadata }) }),
    createQueryJob: () => {
      jobs += 1;
      const answered = Promise.resolve([versions]);
      const getQueryResults = jobs === 1 ? () => answered : () => new Promise(() => undefined);
      return Promise.resolve([{ getQueryResults, cancel: () => Promise.resolve() }]);
    },
  } as unknown as BigqueryClient;
}

describe('Engine.query() on a warehouse that tells by its answers how it is', () => {
  const start = async () => {
    const place = { projectId: 'acme-web', dataset: 'daybook', table: 'events' };
    const options = { place, location: 'EU', timezone: 'UTC', bytesBilledMax: 1, stalenessMs: 0 };
    const engine = new Engine({
      warehouse: {
        driver: 'bigquery',
        projectId: 'project',
        ...options,
        emulator: true,
        makeClient: endlessClient,
      },
      eventsMax: 1,
      intervalMs: 1,
    });
    await engine.start();
    return engine;
  };
  const statement = { sql: 'SELECT 1', params: {} };

  it('takes it for open still when the one who asked is gone', async () => {
    const engine = await start();
    const stop = new AbortController();
    const asked = engine.query(statement, { timeoutMs: 60_000, signal: stop.signal });
    await new Promise(setImmediate);
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'timeout' });
    await new Promise(setImmediate);
    expect(engine.stats()).toMatchObject({ warehouse: 'open' });
    await engine.stop();
  });

  it('takes it for unavailable when it does not answer in time', async () => {
    const engine = await start();
    await expect(engine.query(statement, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' });
    expect(engine.stats()).toMatchObject({ warehouse: 'unavailable' });
    await engine.stop();
  });
});
