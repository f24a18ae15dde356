import { BigQuery } from '@google-cloud/bigquery';
import { PubSub } from '@google-cloud/pubsub';
import { expect, it } from 'vitest';
import type { PubsubClient } from '../../src/transport/pubsub/client.ts';
import type { BigqueryClient } from '../../src/warehouse/bigquery/client.ts';

/* The drivers say in their own words what they use of Google's clients; this compiles only while that is true. */

it('what the drivers use of the clients is there', async () => {
  const pubsub: PubsubClient = new PubSub({ projectId: 'p' });
  const bigquery: BigqueryClient = new BigQuery({ projectId: 'p' });
  const used = [pubsub.topic('t'), pubsub.subscription('s'), bigquery.dataset('d').table('t'), bigquery];
  expect(used.every((part) => typeof part === 'object')).toBe(true);
  await pubsub.close();
});
