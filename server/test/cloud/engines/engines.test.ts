import { BigQuery } from '@google-cloud/bigquery';
import { PubSub } from '@google-cloud/pubsub';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startCuttableProxy } from '../cuttable-proxy.ts';
import { startBigquery, type BigqueryEngine } from './bigquery.ts';
import { describeWith } from './engines.ts';
import { startGooglesql, type Googlesql } from './googlesql/googlesql.ts';
import { startPubsub, type Pubsub } from './pstest.ts';

/** Gives up after two seconds, where Google's client would retry for ten minutes. */
const IMPATIENT = {
  gaxOpts: {
    retry: {
      retryCodes: [14],
      backoffSettings: {
        initialRetryDelayMillis: 50,
        retryDelayMultiplier: 1.3,
        maxRetryDelayMillis: 200,
        initialRpcTimeoutMillis: 2_000,
        rpcTimeoutMultiplier: 1,
        maxRpcTimeoutMillis: 2_000,
        totalTimeoutMillis: 2_000,
      },
    },
  },
};

describeWith(['pstest'], 'pstest', () => {
  let pubsub: Pubsub;
  let client: PubSub;
  const connect = (apiEndpoint: string) =>
    new PubSub({ projectId: pubsub.projectId, apiEndpoint, emulatorMode: true });

  beforeAll(async () => {
    pubsub = await startPubsub();
    client = connect(pubsub.host);
    await client.createTopic('events');
  });
  afterAll(async () => {
    await client.close();
    await pubsub.stop();
  });

  it('keeps what was published, and shows it', async () => {
    await client.topic('events').publishMessage({ data: Buffer.from('{"a":1}'), attributes: { k: 'v' } });
    expect(await pubsub.data('events')).toEqual(['{"a":1}']);
    expect((await pubsub.messages('events'))[0]).toMatchObject({ data: '{"a":1}', attributes: { k: 'v' } });
    expect((await pubsub.counters()).topics).toEqual({ 'projects/daybook-test/topics/events': 1 });
  });

  it('answers a publish with a fault until it is cleared', async () => {
    const topic = client.topic('events', IMPATIENT);
    await pubsub.fault({ code: 'PERMISSION_DENIED' });
    await expect(topic.publishMessage({ data: Buffer.from('x') })).rejects.toMatchObject({ code: 7 });
    expect((await pubsub.counters()).faults).toBe(1);
    await pubsub.clearFault();
    await topic.publishMessage({ data: Buffer.from('x') });
  });

  it('can store a message and lose the answer: the retry stores it again', async () => {
    await pubsub.clear();
    await pubsub.fault({ code: 'UNAVAILABLE', count: 1, after: true });
    await client.topic('events', IMPATIENT).publishMessage({ data: Buffer.from('twice') });
    await pubsub.clearFault();
    expect(await pubsub.data('events')).toEqual(['twice', 'twice']);
  });

  it('seems dead behind a proxy that is cut, and is back when it is restored', async () => {
    await pubsub.clear();
    const proxy = await startCuttableProxy(pubsub.host);
    const behind = connect(proxy.address);
    const topic = behind.topic('events', IMPATIENT);
    await topic.publishMessage({ data: Buffer.from('before') });
    await proxy.cut();
    await expect(topic.publishMessage({ data: Buffer.from('lost') })).rejects.toThrow();
    await proxy.restore();
    await topic.publishMessage({ data: Buffer.from('after') });
    expect(await pubsub.data('events')).toEqual(['before', 'after']);
    await behind.close();
    await proxy.close();
  });
});

describeWith(['bqemulator'], 'bqemulator', () => {
  let engine: BigqueryEngine;
  let client: BigQuery;
  const query = async (
    text: string,
    params: Record<string, unknown> = {},
    types: Record<string, string> = {},
  ) => {
    const [rows] = await client.query({ query: text, params, types, defaultDataset: { datasetId: 'd' } });
    return rows as unknown[];
  };

  beforeAll(async () => {
    engine = await startBigquery();
    client = new BigQuery(engine.options);
    await client.createDataset('d', { location: 'EU' });
  });
  afterAll(() => engine.stop());

  it('keeps a table made and altered by DDL as the REST API shows it', async () => {
    await query(
      'CREATE TABLE IF NOT EXISTS e (user_id STRING NOT NULL, t TIMESTAMP, j JSON) PARTITION BY DATE(t) CLUSTER BY user_id',
    );
    await query('ALTER TABLE e ADD COLUMN IF NOT EXISTS city STRING, ADD COLUMN IF NOT EXISTS n INT64');
    const [table] = (await client.dataset('d').table('e').getMetadata()) as unknown as [
      Record<string, unknown>,
    ];
    expect(table['timePartitioning']).toEqual({ type: 'DAY', field: 't' });
    expect(table['clustering']).toEqual({ fields: ['user_id'] });
    expect(table['schema']).toMatchObject({
      fields: [
        { name: 'user_id', type: 'STRING', mode: 'REQUIRED' },
        { name: 't', type: 'TIMESTAMP' },
        { name: 'j', type: 'JSON' },
        { name: 'city', type: 'STRING' },
        { name: 'n', type: 'INTEGER' },
      ],
    });
  });

  it('answers from a view over a materialized view, with typed parameters', async () => {
    await client
      .dataset('d')
      .table('e')
      .insert([
        { user_id: 'u', t: '2021-12-01T18:14:59Z', j: '{"plan":"pro"}' },
        { user_id: 'u', t: '2021-12-01T18:15:00Z' },
        { user_id: 'w', t: '2021-12-01T18:15:00.123456Z' },
      ]);
    await query(
      'CREATE MATERIALIZED VIEW IF NOT EXISTS seen AS SELECT user_id, MIN(t) AS first FROM d.e GROUP BY user_id',
    );
    await query('CREATE OR REPLACE VIEW new_users AS SELECT user_id, first FROM d.seen');
    const text =
      'SELECT day, COUNT(*) AS users FROM (SELECT DATE(first, @zone) AS day FROM new_users WHERE @from IS NULL OR first >= @from) GROUP BY day ORDER BY day';
    const params = { zone: 'Asia/Kathmandu', from: null };
    expect(await query(text, params, { zone: 'STRING', from: 'TIMESTAMP' })).toEqual([
      { day: expect.objectContaining({ value: '2021-12-01' }) as object, users: 1 },
      { day: expect.objectContaining({ value: '2021-12-02' }) as object, users: 1 },
    ]);
  });

  it('refuses what BigQuery refuses: bad SQL, a table that is not there, an unknown field', async () => {
    await expect(query('SELEC 1')).rejects.toMatchObject({ code: 400 });
    await expect(query('SELECT 1 FROM nope')).rejects.toMatchObject({ code: 404 });
    await expect(
      client
        .dataset('d')
        .table('e')
        .insert([{ user_id: 'u', nope: 1 }]),
    ).rejects.toThrow();
  });
});

describeWith(['googlesql'], 'GoogleSQL', () => {
  let engine: Googlesql;
  const columns = { user_id: 'STRING', t: 'TIMESTAMP', j: 'JSON' } as const;
  const catalog = { 'd.e': columns };

  beforeAll(async () => {
    engine = await startGooglesql();
  });
  afterAll(() => engine.stop());

  it.each([
    ['SELECT DATE(t, @zone) AS d FROM d.e', 'resolvedQueryStmtNode'],
    [
      'SELECT * FROM `d.e` QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY t) = 1',
      'resolvedQueryStmtNode',
    ],
    [
      'CREATE TABLE d.x (a STRING NOT NULL, t TIMESTAMP, j JSON) PARTITION BY DATE(t) CLUSTER BY a',
      'resolvedCreateStatementNode',
    ],
    ['ALTER TABLE d.e ADD COLUMN IF NOT EXISTS city STRING', 'resolvedAlterObjectStmtNode'],
    ['CREATE OR REPLACE VIEW d.v AS SELECT user_id FROM d.e', 'resolvedCreateStatementNode'],
    [
      "CREATE MATERIALIZED VIEW d.m CLUSTER BY user_id OPTIONS (enable_refresh = TRUE, max_staleness = INTERVAL '0:30:0' HOUR TO SECOND) AS SELECT user_id, MIN(t) AS first FROM d.e GROUP BY user_id",
      'resolvedCreateStatementNode',
    ],
    [
      'MERGE d.e USING (SELECT "u" AS u) ON user_id = u WHEN MATCHED THEN UPDATE SET user_id = "w" WHEN NOT MATCHED THEN INSERT (user_id, t, j) VALUES (u, CURRENT_TIMESTAMP(), NULL)',
      'resolvedMergeStmtNode',
    ],
  ])('resolves %s', async (sql, kind) => {
    expect((await engine.analyze(sql, catalog, { zone: 'STRING' })).kind).toBe(kind);
  });

  it('says what is wrong with a statement', async () => {
    await expect(engine.analyze('SELECT nope FROM d.e', catalog)).rejects.toThrow('Unrecognized name: nope');
    await expect(engine.analyze('CREATE VIEW v OPTIONS (nope = 1) AS SELECT 1 AS a')).rejects.toThrow(
      /Unknown option/,
    );
    await expect(engine.analyze('SELECT DATE(@day, 5)', {}, { day: 'STRING' })).rejects.toThrow(
      /No matching signature/,
    );
  });

  it('runs a query over tables in memory, in UTC where no zone is given', async () => {
    const rows = [
      { user_id: 'u', t: '2021-12-01T18:15:00.000001Z', j: '{"plan":"pro"}' },
      { user_id: 'w', t: '2021-12-01T23:59:59Z', j: null },
    ];
    const sql =
      'SELECT DATE(t) AS utc, DATE(t, @zone) AS local, COUNT(*) AS n, MIN(t) AS first, MAX(JSON_VALUE(j, "$.plan")) AS plan FROM `d.e` GROUP BY utc, local';
    const parameters = { zone: { type: 'STRING', value: 'Asia/Kathmandu' } } as const;
    expect(await engine.evaluate(sql, parameters, { 'd.e': { columns, rows } })).toEqual([
      { utc: '2021-12-01', local: '2021-12-02', n: 2, first: '2021-12-01T18:15:00.000001Z', plan: 'pro' },
    ]);
  });
});
