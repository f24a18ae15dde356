import { describe, expect, it } from 'vitest';
import { BIGQUERY_REASONS, bigqueryError } from './errors.ts';
import { exportLines } from './export.ts';
import type { BigqueryClient } from './client.ts';
import { DEAD_LETTER_COLUMNS, EVENT_COLUMNS, apiSchema } from './columns.ts';
import { planBigquery, projectNumber } from './provision.ts';
import { rowsOf } from './rows.ts';
import { viewVersions } from './views.ts';
import { BigqueryWarehouse } from './warehouse.ts';

describe('bigqueryError()', () => {
  it.each(Object.entries(BIGQUERY_REASONS))('reason %s is %s', (reason, code) => {
    const error = Object.assign(new Error('why'), { code: 400, errors: [{ reason }] });
    expect(bigqueryError(error)).toMatchObject({ name: 'StoreError', code });
  });

  it.each([
    [{ message: 'The query did not complete before 100ms' }, 'timeout'],
    [{ message: 'connect ECONNREFUSED' }, 'unavailable'],
    [{ message: 'Syntax error', code: 400 }, 'rejected'],
    [{ message: 'who knows', code: 503 }, 'unavailable'],
  ])('%o is %s', (error, code) => {
    expect(bigqueryError(error)).toMatchObject({ code });
  });
});

describe('rowsOf()', () => {
  it('unwraps days and whole numbers, and keeps those beyond 2^53', () => {
    const rows = [
      {
        day: { value: '2021-12-01' },
        small: { value: '5', type: 'BigQueryInt' },
        large: { value: '9007199254740993', type: 'BigQueryInt' },
        none: null,
      },
    ];
    expect(rowsOf(rows)).toEqual([
      { day: '2021-12-01', small: 5, large: 9_007_199_254_740_993n, none: null },
    ]);
  });

  it('refuses what a report has no type for', () => {
    expect(() => rowsOf([{ list: [1] }])).toThrow('cast it in the statement');
  });
});

describe('exportLines()', () => {
  it('gives back the event as it was sent, without absent fields', async () => {
    async function* rows() {
      yield {
        event_id: 'e',
        event_name: 'n',
        user_id: 'u',
        session_id: 's',
        event_time_us: 1_638_352_800_250_000,
        page: null,
        properties: '{"a":[1]}',
      };
      await Promise.resolve();
    }
    const lines = await Array.fromAsync(exportLines(rows()));
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      {
        type: 'event',
        event_id: 'e',
        event_name: 'n',
        user_id: 'u',
        session_id: 's',
        event_time: 1_638_352_800.25,
        properties: { a: [1] },
      },
    ]);
  });
});

/* Rights, which no emulator looks at: a dataset that is whole, and whose policies are the test's. */

const PLACE = { projectId: 'acme-web', dataset: 'daybook', table: 'events' };
const WRITER = 'serviceAccount:writer@acme-web.iam.gserviceaccount.com';
const SERVER =
  'principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/ns/d/sa/d';

function wholeDataset(bindings: readonly object[], access: readonly object[]): BigqueryClient {
  const versions = [...viewVersions('UTC')].map(([name, version]) => ({ view_name: name, version }));
  const table = (id: string) => ({
    getMetadata: () =>
      Promise.resolve([
        { schema: { fields: apiSchema(id === 'events' ? EVENT_COLUMNS : DEAD_LETTER_COLUMNS) } },
      ]),
    getIamPolicy: () => Promise.resolve([{ bindings }]),
  });
  return {
    dataset: () => ({
      exists: () => Promise.resolve([true]),
      getMetadata: () => Promise.resolve([{ access }]),
      table,
    }),
    createQueryJob: () => Promise.resolve([{ getQueryResults: () => Promise.resolve([versions]) }]),
    request: (_: unknown, done: (error: null, body: object) => void) =>
      done(null, { email: 'bq-123456@bigquery-encryption.iam.gserviceaccount.com' }),
  } as unknown as BigqueryClient;
}

describe('planBigquery()', () => {
  const options = {
    place: PLACE,
    location: 'EU',
    timezone: 'UTC',
    members: { writer: WRITER, pubsubAgent: WRITER, server: SERVER },
  };

  it('gives the rights to write the tables and to read the dataset', async () => {
    const steps = await planBigquery(wholeDataset([], []), options);
    expect(steps.map(({ sql, what }) => sql ?? what)).toEqual([
      `GRANT \`roles/bigquery.dataEditor\` ON TABLE \`acme-web.daybook.events\` TO '${WRITER}'`,
      `GRANT \`roles/bigquery.dataEditor\` ON TABLE \`acme-web.daybook.events_dead_letters_raw\` TO '${WRITER}'`,
      `give roles/bigquery.dataViewer on dataset daybook to ${SERVER}`,
    ]);
  });

  it('finds nothing missing where they are given', async () => {
    const bindings = [{ role: 'roles/bigquery.dataEditor', members: [WRITER] }];
    const access = [{ role: 'READER', iamMember: SERVER }];
    expect(await planBigquery(wholeDataset(bindings, access), options)).toEqual([]);
  });

  it('finds the number of the project', async () => {
    expect(await projectNumber(wholeDataset([], []))).toBe('123456');
  });
});

describe('BigqueryWarehouse.query()', () => {
  /** A warehouse whose jobs have no end, are made when the test says so, and count how often they are cancelled. */
  async function open() {
    const jobs = { made: () => undefined as void, cancelled: 0 };
    const job = {
      getQueryResults: () => new Promise(() => undefined),
      cancel: () => Promise.resolve((jobs.cancelled += 1)),
    };
    const client = wholeDataset([], []);
    const warehouse = new BigqueryWarehouse({
      projectId: PLACE.projectId,
      place: PLACE,
      location: 'EU',
      timezone: 'UTC',
      bytesBilledMax: 1,
      stalenessMs: 0,
      emulator: true,
      makeClient: () => client,
    });
    await warehouse.open();
    Object.assign(client, {
      createQueryJob: () => new Promise((resolve) => (jobs.made = () => resolve([job]))),
    });
    const stop = new AbortController();
    const asked = warehouse.query(
      { sql: 'SELECT 1', params: {} },
      { timeoutMs: 60_000, signal: stop.signal },
    );
    return { asked, stop, jobs };
  }

  it('cancels the job when its signal fires', async () => {
    const { asked, stop, jobs } = await open();
    jobs.made();
    await new Promise(setImmediate);
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'timeout' });
    await new Promise(setImmediate);
    expect(jobs.cancelled).toBe(1);
  });

  it('cancels a job that is made only after its signal has fired', async () => {
    const { asked, stop, jobs } = await open();
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'timeout' });
    expect(jobs.cancelled).toBe(0);
    jobs.made();
    await new Promise(setImmediate);
    expect(jobs.cancelled).toBe(1);
  });
});
