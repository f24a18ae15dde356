import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeBigqueryClient, type BigqueryClient } from '../../src/warehouse/bigquery/client.ts';
import { planBigquery } from '../../src/warehouse/bigquery/provision.ts';
import { placeWarnings } from '../../src/warehouse/bigquery/warnings.ts';
import { BigqueryWarehouse } from '../../src/warehouse/bigquery/warehouse.ts';
import { startAnswers, type Answers } from './answers.ts';

/* What Google's documents say that BigQuery answers, through Google's own client. Each test is named after its row of the list. */

const PLACE = { projectId: 'acme-web', dataset: 'web', table: 'events' };
const DAILY = { sql: 'SELECT * FROM `acme-web.web.events_daily`', params: {} };
const QUERY = { sql: 'SELECT 1 AS one', params: {} };

describe('BigQuery, as documented', () => {
  let answers: Answers;
  let client: BigqueryClient;
  beforeEach(async () => {
    answers = await startAnswers();
    process.env['BIGQUERY_EMULATOR_HOST'] = answers.baseUrl;
    client = makeBigqueryClient({ projectId: 'acme-web', location: 'US', emulator: true });
  });
  afterEach(() => answers.stop());

  const warehouse = () =>
    new BigqueryWarehouse({
      projectId: 'acme-web',
      place: PLACE,
      location: 'US',
      timezone: 'UTC',
      bytesBilledMax: 1e9,
      stalenessMs: 0,
      emulator: true,
    });
  const plan = (server?: string) =>
    planBigquery(client, {
      place: PLACE,
      location: 'US',
      timezone: 'UTC',
      projectId: 'acme-web',
      dailyMinutes: 15,
      ...(server === undefined
        ? {}
        : { members: { writer: 'serviceAccount:w@x', pubsubAgent: 'serviceAccount:w@x', server } }),
    });

  it('row 7: queries run where the dataset lies, whatever the location of the settings', async () => {
    const opened = warehouse();
    await opened.open();
    await opened.query(QUERY, { timeoutMs: 5_000 });
    const locations = answers.heard
      .filter(({ path }) => path.endsWith('/jobs'))
      .map(({ body }) => (body['jobReference'] as { location?: string }).location);
    expect(new Set(locations)).toEqual(new Set(['EU']));
    expect(await plan()).toEqual([]);
  });

  it('row 7: a dataset that this account may not look at is asked for in the location of the settings', async () => {
    answers.project.refused.add('bigquery.datasets.get');
    answers.project.dataset = { location: 'US', etag: 'e', access: [] };
    await warehouse().open();
  });

  it('row 13: each right that is missing is named, at the start and at the first query that fails', async () => {
    const { refused } = answers.project;
    refused.add('bigquery.jobs.create');
    await expect(warehouse().open()).rejects.toThrow(
      /^bigquery: the right bigquery\.jobs\.create on project acme-web is missing: gcloud projects add-iam-policy-binding acme-web --role=roles\/bigquery\.jobUser --member=MEMBER$/,
    );
    refused.add('bigquery.tables.getData');
    await expect(warehouse().open()).rejects.toThrow(
      /jobs\.create on project acme-web .*; the right bigquery\.tables\.getData on table acme-web\.web\.events is missing: give roles\/bigquery\.dataViewer on dataset acme-web:web/,
    );
    refused.clear();
    const opened = warehouse();
    await opened.open();
    refused.add('bigquery.jobs.create');
    await expect(opened.query(QUERY, { timeoutMs: 5_000 })).rejects.toThrow(
      /the right bigquery\.jobs\.create/,
    );
  });

  it.each([
    ['the dataset', () => (answers.project.dataset = undefined), 'dataset acme-web.web is not there'],
    ['the table', () => answers.project.tables.delete('events'), 'table acme-web.web.events is not there'],
    [
      'a view',
      () => answers.project.tables.delete('events_daily'),
      'view acme-web.web.events_daily is not there',
    ],
  ])('row 13: %s that is missing is named, with the command that makes it', async (_, remove, said) => {
    const opened = warehouse();
    await opened.open();
    remove();
    await expect(opened.query(DAILY, { timeoutMs: 5_000 })).rejects.toThrow(
      `${said}: "daybook gcp provision" makes it`,
    );
  });

  it('row 13: a dataset that is missing at the start is named too', async () => {
    answers.project.dataset = undefined;
    await expect(warehouse().open()).rejects.toThrow(
      'bigquery: dataset acme-web.web is not there: "daybook gcp provision" makes it',
    );
  });

  const fields = () =>
    answers.project.tables.get('events')!['schema'] as { fields: Record<string, string>[] };

  it('row 4: a column that not every event has need not be filled, on a table from before', async () => {
    for (const field of fields().fields)
      if (['page', 'city', 'user_id'].includes(field['name']!)) field['mode'] = 'REQUIRED';
    expect((await plan()).map(({ what, sql }) => [what, sql])).toEqual([
      [
        'let column page of table events be NULL',
        'ALTER TABLE `acme-web.web.events`\n  ALTER COLUMN page DROP NOT NULL',
      ],
      [
        'let column city of table events be NULL',
        'ALTER TABLE `acme-web.web.events`\n  ALTER COLUMN city DROP NOT NULL',
      ],
    ]);
  });

  it.each([
    [
      { name: 'tenant', type: 'STRING', mode: 'REQUIRED' },
      /events\.tenant is REQUIRED, and no event has it.*DROP NOT NULL/,
    ],
    [{ name: 'tags', type: 'STRING', mode: 'REPEATED' }, /events\.tags is REPEATED/],
  ])('row 4: refuses the column %o, which would make each event a dead letter', async (field, said) => {
    fields().fields.push(field);
    await expect(plan()).rejects.toThrow(said);
  });

  it('row 3: says at the start what becomes of events while the table has not their columns', async () => {
    const table = answers.project.tables.get('events')!;
    const kept = fields().fields.filter(({ name }) => !['event_id', 'properties'].includes(name!));
    table['schema'] = { fields: kept };
    kept.find(({ name }) => name === 'region')!['mode'] = 'REQUIRED';
    await expect(warehouse().open()).rejects.toThrow(
      /^bigquery: table .*: the columns event_id, properties are missing: events are sent without them; the columns region are REQUIRED: events without them become dead letters; run "daybook gcp provision" and wait some minutes$/,
    );
  });

  it('row 4: refuses a column of its own that is REPEATED, and takes one of others that may be absent', async () => {
    fields().fields.push({ name: 'note', type: 'STRING', mode: 'NULLABLE' });
    expect(await plan()).toEqual([]);
    fields().fields.find(({ name }) => name === 'country')!['mode'] = 'REPEATED';
    await expect(plan()).rejects.toThrow(/events\.country is REPEATED/);
  });

  it('row 8: says what the expiry of partitions costs, and where the dataset lies', async () => {
    const google = { place: PLACE, location: 'US' };
    expect(await placeWarnings(client, { ...google, location: 'eu' })).toEqual([]);
    Object.assign(answers.project.tables.get('events')!, {
      timePartitioning: { type: 'DAY', expirationMs: '86400000' },
    });
    expect(await placeWarnings(client, google)).toEqual([
      'dataset web lies in EU: that is used, and not DAYBOOK_BIGQUERY_LOCATION=US',
      expect.stringMatching(/^partitions of web\.events expire: .*each report reads the whole table$/),
    ]);
  });

  it('row 6: a principal of a workload identity pool reads by the access list of the dataset, guarded by its etag', async () => {
    const pool =
      'principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/acme-web.svc.id.goog';
    const member = `${pool}/subject/ns/daybook/sa/daybook`;
    answers.project.dataset!.access.push({ role: 'OWNER', specialGroup: 'projectOwners' });
    const steps = (await plan(member)).filter(({ what }) => what.includes('dataViewer'));
    expect(steps.map(({ sql }) => sql)).toEqual([undefined]);
    await steps[0]!.apply();
    expect(answers.project.dataset?.access).toEqual([
      { role: 'OWNER', specialGroup: 'projectOwners' },
      { role: 'roles/bigquery.dataViewer', iamMember: member },
    ]);
    expect(answers.heard.find(({ method }) => method === 'PATCH')?.headers['if-match']).toBe('etag-1');
    expect((await plan(member)).filter(({ what }) => what.includes('dataViewer'))).toEqual([]);
  });

  it.each([
    [
      'serviceAccount:s@acme-web.iam.gserviceaccount.com',
      { userByEmail: 's@acme-web.iam.gserviceaccount.com' },
    ],
    ['group:team@acme.example', { groupByEmail: 'team@acme.example' }],
    ['domain:acme.example', { domain: 'acme.example' }],
  ])('row 6: knows %s by the name that BigQuery answers with', async (member, entry) => {
    answers.project.dataset!.access.push({ role: 'READER', ...entry });
    expect((await plan(member)).filter(({ what }) => what.includes('dataViewer'))).toEqual([]);
  });
});
