import type { PubsubClient } from './client.ts';
import type { PubsubNames } from './names.ts';

/** Subscriptions of a topic that are looked at. */
const SUBSCRIPTIONS_MAX = 200;

/**
 * Looks at a topic that is in use already.
 * @throws Error when every event would be stored twice, in another table, or refused
 */
export async function checkTopicInUse(
  client: PubsubClient,
  names: PubsubNames,
  eventsTable: string,
): Promise<void> {
  const topic = client.topic(names.topic);
  const [{ schemaSettings }] = await topic.getMetadata();
  // A message that the schema does not take is refused when it is published. https://cloud.google.com/pubsub/docs/schemas
  if (
    schemaSettings?.schema !== undefined &&
    schemaSettings.schema !== null &&
    schemaSettings.schema !== ''
  ) {
    throw new Error(
      `topic ${names.topic} has the schema ${schemaSettings.schema}, which can refuse events: take it off with ` +
        `"gcloud pubsub topics update ${names.topic} --clear-schema-settings", or use another topic`,
    );
  }
  const [subscriptions] = await topic.getSubscriptions();
  for (const subscription of subscriptions.slice(0, SUBSCRIPTIONS_MAX)) {
    const name = subscription.name.split('/').at(-1)!;
    const [{ bigqueryConfig }] = await subscription.getMetadata();
    // BigQuery's own command writes a colon behind the project.
    const table = (bigqueryConfig?.table ?? '').replace(/^([^.:]+):(?=[^:]*$)/, '$1.');
    if (name === names.subscription && table !== eventsTable) {
      throw new Error(
        `subscription ${name} writes ${table === '' ? 'no table' : table}, and not ${eventsTable}: delete it with ` +
          `"gcloud pubsub subscriptions delete ${name}" once nothing waits in it, or set BIGQUERY_TABLE_NAME to its table`,
      );
    }
    if (name !== names.subscription && table === eventsTable) {
      throw new Error(
        `subscription ${name} writes topic ${names.topic} into ${eventsTable} already: with another each event would be stored twice. ` +
          `Delete it with "gcloud pubsub subscriptions delete ${name}" once nothing waits in it, and run this again at once`,
      );
    }
  }
}
