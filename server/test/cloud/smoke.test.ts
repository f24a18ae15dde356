import { PubSub } from '@google-cloud/pubsub';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { smoke } from '../../src/cli/gcp-smoke.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle } from './google.ts';
import { startSubscription, type TestSubscription } from './subscription.ts';

/* `daybook gcp smoke` is made for a real project; here it runs against the engines, delivered by the stand-in. */

describeWith(['pstest', 'bqemulator'], 'the smoke command', () => {
  it('sends, waits, finds the numbers exact, and leaves nothing behind', async () => {
    const google = await startGoogle();
    const client = new PubSub({ projectId: google.pubsub.projectId });
    let delivery: TestSubscription | undefined;
    const running = smoke(google.config, {});
    // Its names are made up for each run.
    while (delivery === undefined) {
      await sleep(100);
      const [subscriptions] = await client.getSubscriptions();
      const name = subscriptions
        .map((found) => found.name.split('/').at(-1)!)
        .find((found) => !found.includes('dead'));
      if (name === undefined) continue;
      const tag = /smoke-(\w+)-/.exec(name)![1]!;
      delivery = await startSubscription({
        pubsub: google.pubsub,
        bigquery: google.bigquery,
        topic: `analytics-smoke-${tag}`,
        name,
        dataset: `daybook_smoke_${tag}`,
        table: 'events',
        useTableSchema: true,
      });
    }
    expect(await running).toBe(0);
    await delivery.stop();
    expect((await client.getTopics())[0]).toEqual([]);
    expect((await client.getSubscriptions())[0]).toEqual([]);
    await client.close();
  });
});
