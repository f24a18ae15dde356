import { grants, type Members, type ProvisionStep } from '../../google.ts';
import type { PubsubClient, PubsubIam } from './client.ts';
import { pubsubNames } from './names.ts';
import { storageRegions } from './regions.ts';
import { checkTopicInUse } from './topic-check.ts';

export interface PubsubProvisionOptions {
  readonly projectId: string;
  readonly topic: string;
  /** Tables as project.dataset.table. */
  readonly eventsTable: string;
  readonly deadLettersTable: string;
  /** Where the dataset lies. */
  readonly location: string;
  /** Absent: rights are not looked at, as with an emulator. */
  readonly members?: Members;
}

/**
 * Deliveries of a message that is not written, before it becomes a dead letter. The most that there is: a BigQuery that is
 * away counts as much as a message that it refuses. With the pauses below that lasts for hours; of a message that does not fit the
 * table Pub/Sub makes no pauses. https://cloud.google.com/pubsub/docs/bigquery#handle_message_failures
 */
const DELIVERY_ATTEMPTS_MAX = 100;

const SUBSCRIPTION = {
  ackDeadlineSeconds: 60,
  messageRetentionDuration: { seconds: 7 * 86_400 },
  // An empty policy: the subscription never expires, however quiet it is.
  expirationPolicy: {},
  retryPolicy: { minimumBackoff: { seconds: 10 }, maximumBackoff: { seconds: 600 } },
} as const;

/**
 * What is missing of topics, subscriptions and rights, in the order in which it has to be made.
 * @throws Error when the topic is in use in a form that would lose or double events
 */
export async function planPubsub(
  client: PubsubClient,
  options: PubsubProvisionOptions,
): Promise<readonly ProvisionStep[]> {
  const { projectId, topic, members } = options;
  const names = pubsubNames(topic);
  const steps: ProvisionStep[] = [];
  const regions = storageRegions(options.location);
  const policy =
    regions.length === 0 ? {} : { messageStoragePolicy: { allowedPersistenceRegions: [...regions] } };
  for (const name of [names.topic, names.deadLetterTopic]) {
    const [exists] = await client.topic(name).exists();
    if (!exists)
      steps.push({ what: `make topic ${name}`, apply: () => client.createTopic({ name, ...policy }) });
    else if (name === names.topic) await checkTopicInUse(client, names, options.eventsTable);
  }
  // Rights on the topics come before the subscriptions that need them.
  if (members !== undefined) {
    const dead = client.topic(names.deadLetterTopic).iam;
    await bind(steps, {
      iam: dead,
      on: `topic ${names.deadLetterTopic}`,
      role: PUBLISHER,
      member: members.pubsubAgent,
    });
    const { server } = members;
    const main = client.topic(names.topic).iam;
    if (server !== undefined) {
      await bind(steps, { iam: main, on: `topic ${names.topic}`, role: PUBLISHER, member: server });
      await bind(steps, { iam: dead, on: `topic ${names.deadLetterTopic}`, role: PUBLISHER, member: server });
    }
  }
  // Pub/Sub's own account is meant where none is named; nobody may name it.
  const own = members === undefined || members.writer === members.pubsubAgent;
  const account = own ? {} : { serviceAccountEmail: members.writer.replace(/^serviceAccount:/, '') };
  await subscribe(steps, client, {
    name: names.deadLetterSubscription,
    topic: names.deadLetterTopic,
    options: {
      ...SUBSCRIPTION,
      bigqueryConfig: { table: options.deadLettersTable, writeMetadata: true, ...account },
    },
  });
  await subscribe(steps, client, {
    name: names.subscription,
    topic: names.topic,
    options: {
      ...SUBSCRIPTION,
      // Unknown fields are no reason to drop them in silence: such a message becomes a dead letter.
      bigqueryConfig: {
        table: options.eventsTable,
        useTableSchema: true,
        dropUnknownFields: false,
        ...account,
      },
      deadLetterPolicy: {
        deadLetterTopic: `projects/${projectId}/topics/${names.deadLetterTopic}`,
        maxDeliveryAttempts: DELIVERY_ATTEMPTS_MAX,
      },
    },
  });
  if (members !== undefined) {
    const { iam } = client.subscription(names.subscription);
    await bind(steps, {
      iam,
      on: `subscription ${names.subscription}`,
      role: SUBSCRIBER,
      member: members.pubsubAgent,
    });
  }
  return steps;
}

/** Deletes subscriptions and topics; what is missing is passed over. */
export async function removePubsub(client: PubsubClient, topic: string): Promise<void> {
  const names = pubsubNames(topic);
  for (const name of [names.subscription, names.deadLetterSubscription]) {
    const [exists] = await client.subscription(name).exists();
    if (exists) await client.subscription(name).delete();
  }
  for (const name of [names.topic, names.deadLetterTopic]) {
    const [exists] = await client.topic(name).exists();
    if (exists) await client.topic(name).delete();
  }
}

interface Subscription {
  readonly name: string;
  readonly topic: string;
  readonly options: object;
}

async function subscribe(
  steps: ProvisionStep[],
  client: PubsubClient,
  { name, topic, options }: Subscription,
): Promise<void> {
  const [exists] = await client.subscription(name).exists();
  if (exists) return;
  steps.push({
    what: `make subscription ${name} of topic ${topic}`,
    apply: () => client.topic(topic).createSubscription(name, options),
  });
}

const PUBLISHER = 'roles/pubsub.publisher';
const SUBSCRIBER = 'roles/pubsub.subscriber';

interface Binding {
  readonly iam: PubsubIam;
  readonly on: string;
  readonly role: string;
  readonly member: string;
}

async function bind(steps: ProvisionStep[], { iam, on, role, member }: Binding): Promise<void> {
  // What does not exist yet has no policy.
  const policy = await iam.getPolicy().then(
    ([found]) => found,
    () => ({}),
  );
  if (grants(policy, role, member)) return;
  steps.push({
    what: `give ${role} on ${on} to ${member}`,
    apply: async () => {
      const [current] = await iam.getPolicy();
      await iam.setPolicy({
        ...current,
        bindings: [...(current.bindings ?? []), { role, members: [member] }],
      });
    },
  });
}
