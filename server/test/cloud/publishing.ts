import { makePubsubClient } from '../../src/transport/pubsub/client.ts';
import type { Pubsub } from './engines/pstest.ts';

/** How long a publish may take in these tests, in milliseconds. */
export const PUBLISH_TIMEOUT_MS = 2_000;

/** What a server needs to publish here; reports have nobody to ask. */
export function publishingEnv(pubsub: Pubsub): Record<string, string> {
  return {
    ...pubsub.env,
    DAYBOOK_WAREHOUSE: 'bigquery',
    GOOGLE_CLOUD_PROJECT: pubsub.projectId,
    BIGQUERY_EMULATOR_HOST: 'http://127.0.0.1:9',
    DAYBOOK_PUBSUB_TIMEOUT_MS: String(PUBLISH_TIMEOUT_MS),
  };
}

/** User → the number of different events in the topic. */
export async function publishedIds(pubsub: Pubsub): Promise<Map<string, number>> {
  const ids = new Map<string, Set<string>>();
  for (const data of await pubsub.data('analytics')) {
    const { user_id: user, event_id: id } = JSON.parse(data) as { user_id: string; event_id: string };
    ids.set(user, (ids.get(user) ?? new Set()).add(id));
  }
  return new Map([...ids].map(([user, set]) => [user, set.size]));
}

export async function makeTopic(pubsub: Pubsub): Promise<void> {
  Object.assign(process.env, pubsub.env);
  const client = makePubsubClient(pubsub.projectId);
  await client.topic('analytics').create();
  await client.close();
}
