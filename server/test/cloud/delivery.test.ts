import { PubSub } from '@google-cloud/pubsub';
import { BigQuery } from '@google-cloud/bigquery';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startBigquery, type BigqueryEngine } from './engines/bigquery.ts';
import { describeWith } from './engines/engines.ts';
import { startPubsub, type Pubsub } from './engines/pstest.ts';
import { startSubscription, type TestSubscription } from './subscription.ts';

describeWith(['pstest', 'bqemulator'], 'the stand-in for a BigQuery subscription', () => {
  let pubsub: Pubsub;
  let engine: BigqueryEngine;
  let client: PubSub;
  let bigquery: BigQuery;
  const subscriptions: TestSubscription[] = [];

  beforeAll(async () => {
    [pubsub, engine] = await Promise.all([startPubsub(), startBigquery()]);
    client = new PubSub({ projectId: pubsub.projectId, apiEndpoint: pubsub.host, emulatorMode: true });
    bigquery = new BigQuery(engine.options);
    await Promise.all([client.createTopic('events'), client.createTopic('dead')]);
    await bigquery.createDataset('analytics');
    const dataset = bigquery.dataset('analytics');
    await dataset.createTable('events', {
      schema: [
        { name: 'event_id', type: 'STRING', mode: 'REQUIRED' },
        { name: 'event_time', type: 'TIMESTAMP', mode: 'REQUIRED' },
        { name: 'properties', type: 'JSON' },
      ],
      timePartitioning: { type: 'DAY', field: 'event_time' },
    });
    await dataset.createTable('dead', {
      schema: [
        { name: 'data', type: 'STRING' },
        { name: 'subscription_name', type: 'STRING' },
        { name: 'message_id', type: 'STRING' },
        { name: 'publish_time', type: 'TIMESTAMP' },
        { name: 'attributes', type: 'JSON' },
      ],
    });
    const shared = { pubsub, bigquery: engine, dataset: 'analytics' };
    subscriptions.push(
      await startSubscription({
        ...shared,
        topic: 'events',
        name: 'to-bigquery',
        table: 'events',
        deadLetterTopic: 'dead',
        useTableSchema: true,
      }),
      await startSubscription({
        ...shared,
        topic: 'dead',
        name: 'dead-to-bigquery',
        table: 'dead',
        useTableSchema: false,
        writeMetadata: true,
      }),
    );
  });

  afterAll(async () => {
    for (const subscription of subscriptions) await subscription.stop();
    await client.close();
    await Promise.all([pubsub.stop(), engine.stop()]);
  });

  it('lands good messages in the table, and a bad one as a dead letter with its reason', async () => {
    const topic = client.topic('events');
    const events = Array.from({ length: 2_500 }, (_, index) => ({
      event_id: `e${index}`,
      event_time: new Date(1_638_316_800_000 + index * 1_000).toISOString(),
      properties: JSON.stringify({ index }),
    }));
    await Promise.all(events.map((json) => topic.publishMessage({ json })));
    await topic.publishMessage({ json: { event_id: 'bad', event_time: '2021-12-01T00:00:00Z', extra: 1 } });
    for (const subscription of subscriptions) await subscription.drained();

    const [rows] = await bigquery.query(
      'SELECT COUNT(*) AS events, COUNT(DISTINCT event_id) AS ids, MAX(JSON_VALUE(properties, "$.index")) AS last FROM analytics.events',
    );
    expect(rows).toEqual([{ events: 2_500, ids: 2_500, last: '999' }]);
    const [dead] = await bigquery.query(
      'SELECT data, subscription_name, JSON_VALUE(attributes, "$.CloudPubSubDeadLetterSourceDeliveryErrorMessage") AS reason, JSON_VALUE(attributes, "$.CloudPubSubDeadLetterSourceDeliveryCount") AS attempts FROM analytics.dead',
    );
    expect(dead).toEqual([
      {
        data: expect.stringContaining('"bad"') as string,
        subscription_name: 'projects/daybook-test/subscriptions/dead-to-bigquery',
        reason: 'unknown field: extra',
        attempts: '5',
      },
    ]);
    expect(subscriptions[0]!.delivered()).toMatchObject({ rows: 2_500, deadLetters: 1 });
  });
});
