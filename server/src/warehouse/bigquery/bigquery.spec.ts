import { describe, expect, it } from 'vitest';
import { BIGQUERY_REASONS, bigqueryError } from './errors.ts';
import { exportLines } from './export.ts';
import type { BigqueryClient } from './client.ts';
import { DEAD_LETTER_COLUMNS, EVENT_COLUMNS, apiSchema, type Column } from './columns.ts';
import { DAILY_TABLE_COLUMNS, rewriteDailyTable } from './daily-table.ts';
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
const SCHEDULER = 'serviceAccount:daybook-daily@acme-web.iam.gserviceaccount.com';
const SERVER =
  'principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/ns/d/sa/d';

interface Requested {
  readonly uri: string;
  readonly method?: string;
  readonly json?: object;
}

type Answer = (options: Requested) => object | Error;

const ACCOUNT: Answer = () => ({ email: 'bq-123456@bigquery-encryption.iam.gserviceaccount.com' });

const SCHEMAS: Readonly<Record<string, readonly Column[]>> = {
  events: EVENT_COLUMNS,
  events_daily_table: DAILY_TABLE_COLUMNS,
  events_dead_letters_raw: DEAD_LETTER_COLUMNS,
};

function wholeDataset(
  bindings: readonly object[],
  access: readonly object[],
  answer: Answer = ACCOUNT,
): BigqueryClient {
  const versions = [...viewVersions('UTC')].map(([name, version]) => ({ view_name: name, version }));
  const table = (id: string) => ({
    getMetadata: () => Promise.resolve([{ schema: { fields: apiSchema(SCHEMAS[id] ?? []) } }]),
    getIamPolicy: () => Promise.resolve([{ bindings }]),
  });
  return {
    dataset: () => ({
      exists: () => Promise.resolve([true]),
      getMetadata: () => Promise.resolve([{ access }]),
      table,
    }),
    createQueryJob: () => Promise.resolve([{ getQueryResults: () => Promise.resolve([versions]) }]),
    request: (options: Requested, done: (error: Error | null, body?: object) => void) => {
      const body = answer(options);
      if (body instanceof Error) done(body);
      else done(null, body);
    },
  } as unknown as BigqueryClient;
}

describe('planBigquery()', () => {
  const options = {
    place: PLACE,
    location: 'EU',
    timezone: 'UTC',
    projectId: 'acme-web',
    dailyMinutes: 15,
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

  /** Rights that are given already, so that the plan is about the scheduled query alone. */
  const scheduled = { ...options, members: { ...options.members, scheduler: SCHEDULER } };
  const whole = (answer: Answer) => {
    const bindings = [{ role: 'roles/bigquery.dataEditor', members: [WRITER, SCHEDULER] }];
    const access = [
      { role: 'READER', iamMember: SERVER },
      { role: 'READER', userByEmail: SCHEDULER.split(':')[1] },
    ];
    return wholeDataset(bindings, access, answer);
  };
  const CONFIGS =
    'https://bigquerydatatransfer.googleapis.com/v1/projects/acme-web/locations/eu/transferConfigs';
  const MADE = {
    name: 'projects/1/locations/eu/transferConfigs/abc',
    displayName: 'daybook: daybook.events_daily_table',
    schedule: 'every 15 minutes',
    params: { query: rewriteDailyTable(PLACE, 'UTC') },
  };

  it('gives the scheduled query an account that reads the dataset and writes one table', async () => {
    const bindings = [{ role: 'roles/bigquery.dataEditor', members: [WRITER] }];
    const access = [{ role: 'READER', iamMember: SERVER }];
    const steps = await planBigquery(wholeDataset(bindings, access), scheduled);
    expect(steps.map(({ sql, what }) => sql ?? what)).toEqual([
      `give roles/bigquery.dataViewer on dataset daybook to ${SCHEDULER}`,
      `GRANT \`roles/bigquery.dataEditor\` ON TABLE \`acme-web.daybook.events_daily_table\` TO '${SCHEDULER}'`,
      rewriteDailyTable(PLACE, 'UTC'),
    ]);
    expect(steps.every(({ optional }) => optional === 'until then each report reads the views')).toBe(true);
  });

  it('makes the scheduled query as its own account, where the dataset lies, without a destination', async () => {
    const asked: Requested[] = [];
    const client = whole((request) => (asked.push(request), {}));
    const [step, ...others] = await planBigquery(client, scheduled);
    expect(others).toEqual([]);
    expect(step?.what).toBe(
      'make the scheduled query "daybook: daybook.events_daily_table", every 15 minutes, as daybook-daily@acme-web.iam.gserviceaccount.com',
    );
    await step!.apply();
    expect(asked).toEqual([
      { uri: `${CONFIGS}?dataSourceIds=scheduled_query&pageSize=1000` },
      {
        method: 'POST',
        uri: `${CONFIGS}?serviceAccountName=daybook-daily%40acme-web.iam.gserviceaccount.com`,
        json: {
          displayName: MADE.displayName,
          dataSourceId: 'scheduled_query',
          schedule: 'every 15 minutes',
          params: MADE.params,
          disabled: false,
        },
      },
    ]);
  });

  it('leaves a scheduled query that is there, also on a later page', async () => {
    const pages: Record<string, object> = {
      '': { transferConfigs: [{ displayName: 'other' }], nextPageToken: 'a/b' },
      '&pageToken=a%2Fb': { transferConfigs: [MADE] },
    };
    const client = whole(({ uri }) => pages[uri.split('pageSize=1000')[1]!]!);
    expect(await planBigquery(client, scheduled)).toEqual([]);
  });

  it.each([
    ['another interval', { schedule: 'every 30 minutes' }],
    ['another statement', { params: { query: 'SELECT 1' } }],
    ['none of its runs', { disabled: true }],
  ])('changes a scheduled query with %s', async (_, difference) => {
    const asked: Requested[] = [];
    const client = whole(
      (request) => (asked.push(request), { transferConfigs: [{ ...MADE, ...difference }] }),
    );
    const [step] = await planBigquery(client, scheduled);
    expect(step?.what).toMatch(/^change the scheduled query/);
    await step!.apply();
    expect(asked[1]).toMatchObject({
      method: 'PATCH',
      uri: expect.stringMatching(
        /\/transferConfigs\/abc\?updateMask=schedule,params,disabled,service_account_name&/,
      ) as string,
    });
  });

  it('plans on where scheduled queries cannot be looked at; making it says why', async () => {
    const denied = new Error('bigquery.transfers.get is missing');
    const [step] = await planBigquery(
      whole(() => denied),
      scheduled,
    );
    await expect(step!.apply()).rejects.toThrow('bigquery.transfers.get is missing');
  });

  it('finds the number of the project', async () => {
    expect(await projectNumber(wholeDataset([], []))).toBe('123456');
  });
});

describe('BigqueryWarehouse.query()', () => {
  const SELECT = { sql: 'SELECT 1', params: {} };
  const settings = {
    projectId: PLACE.projectId,
    place: PLACE,
    location: 'EU',
    timezone: 'UTC',
    bytesBilledMax: 1,
    stalenessMs: 0,
    emulator: true,
  };

  it('tells what a statement was billed for, and answers where that is not known', async () => {
    const told: number[] = [];
    for (const bytes of ['10485760', undefined]) {
      const client = wholeDataset([], []);
      const warehouse = new BigqueryWarehouse({ ...settings, makeClient: () => client });
      await warehouse.open();
      const metadata = [{ statistics: { query: { totalBytesBilled: bytes } } }];
      const job = {
        getQueryResults: () => Promise.resolve([[{ n: 1 }]]),
        getMetadata: () =>
          bytes === undefined ? Promise.reject(new Error('away')) : Promise.resolve(metadata),
      };
      Object.assign(client, { createQueryJob: () => Promise.resolve([job]) });
      const options = { timeoutMs: 1_000, billed: (more: number) => told.push(more) };
      expect(await warehouse.query(SELECT, options)).toEqual([{ n: 1 }]);
    }
    expect(told).toEqual([10_485_760]);
  });

  it('answers a statement whose table may be missing with no rows, and does not ask again at once', async () => {
    const client = wholeDataset([], []);
    const warehouse = new BigqueryWarehouse({ ...settings, makeClient: () => client });
    await warehouse.open();
    const missing = Object.assign(new Error('Not found'), { code: 404, errors: [{ reason: 'notFound' }] });
    let asked = 0;
    Object.assign(client, { createQueryJob: () => ((asked += 1), Promise.reject(missing)) });
    const statement = { ...SELECT, report: 'daily_table', mayBeMissing: true } as const;
    for (const _ of [1, 2]) expect(await warehouse.query(statement, { timeoutMs: 1_000 })).toEqual([]);
    expect(asked).toBe(1);
    await expect(warehouse.query(SELECT, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

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
