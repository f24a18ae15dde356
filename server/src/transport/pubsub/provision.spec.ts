import { describe, expect, it } from 'vitest';
import type { IamPolicy } from '../../google.ts';
import type { PubsubClient } from './client.ts';
import { planPubsub } from './provision.ts';

/* Rights and options of subscriptions, which no emulator looks at. */

const AGENT = 'serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com';
const WRITER = 'serviceAccount:writer@acme-web.iam.gserviceaccount.com';
const SERVER = 'serviceAccount:server@acme-web.iam.gserviceaccount.com';

/** A project in memory, as far as provisioning sees it. */
function project() {
  const topics = new Set<string>();
  const subscriptions = new Map<string, { bigqueryConfig: object; deadLetterPolicy?: object }>();
  const policies = new Map<string, IamPolicy>();
  const made = new Map<string, object>();
  const schemas = new Map<string, { schema: string }>();
  const iam = (name: string) => ({
    getPolicy: () => Promise.resolve([policies.get(name) ?? {}]),
    setPolicy: (policy: IamPolicy) => Promise.resolve(policies.set(name, policy)),
  });
  const client = {
    createTopic: ({ name, ...metadata }: { name: string }) => {
      made.set(name, metadata);
      return Promise.resolve(topics.add(name));
    },
    topic: (name: string) => ({
      name: `projects/acme-web/topics/${name}`,
      exists: () => Promise.resolve([topics.has(name)]),
      getMetadata: () => Promise.resolve([{ schemaSettings: schemas.get(name) ?? null }]),
      getSubscriptions: () => Promise.resolve([[]]),
      createSubscription: (subscription: string, options: never) =>
        Promise.resolve(subscriptions.set(subscription, options)),
      iam: iam(name),
    }),
    subscription: (name: string) => ({
      exists: () => Promise.resolve([subscriptions.has(name)]),
      iam: iam(name),
    }),
  } as unknown as PubsubClient;
  return { client, subscriptions, policies, schemas, made };
}

async function provisioned(writer: string, location = 'US') {
  const made = project();
  const options = {
    projectId: 'acme-web',
    topic: 'analytics',
    eventsTable: 'acme-web.daybook.events',
    deadLettersTable: 'acme-web.daybook.dead',
    location,
    members: { writer, pubsubAgent: AGENT, server: SERVER },
  };
  for (const step of await planPubsub(made.client, options)) await step.apply();
  return { ...made, again: await planPubsub(made.client, options) };
}

const membersOf = (policies: ReadonlyMap<string, IamPolicy>, name: string) =>
  (policies.get(name)?.bindings ?? []).map(({ role, members }) => [role, members]);

describe('planPubsub()', () => {
  it.each([
    ['US', {}],
    ['europe-north1', { messageStoragePolicy: { allowedPersistenceRegions: ['europe-north1'] } }],
    [
      'EU',
      {
        messageStoragePolicy: {
          allowedPersistenceRegions: expect.arrayContaining(['europe-west1']) as string[],
        },
      },
    ],
  ])('keeps messages on their way to a dataset in %s where it lies', async (location, metadata) => {
    const { made } = await provisioned(AGENT, location);
    expect(made.get('analytics')).toEqual(metadata);
    expect(made.get('analytics-dead-letters')).toEqual(metadata);
  });

  it('row 5: stops at a topic whose schema may refuse events', async () => {
    const made = project();
    const options = {
      projectId: 'acme-web',
      topic: 'analytics',
      eventsTable: 'acme-web.daybook.events',
      deadLettersTable: 'acme-web.daybook.dead',
      location: 'US',
    };
    await made.client.createTopic({ name: 'analytics' });
    made.schemas.set('analytics', { schema: 'projects/acme-web/schemas/event' });
    await expect(planPubsub(made.client, options)).rejects.toThrow(
      /topic analytics has the schema projects\/acme-web\/schemas\/event.*--clear-schema-settings/,
    );
  });

  it('gives the rights that publishing and dead letters need, and the second time nothing', async () => {
    const { policies, again } = await provisioned(AGENT);
    expect(membersOf(policies, 'analytics')).toEqual([['roles/pubsub.publisher', [SERVER]]]);
    expect(membersOf(policies, 'analytics-dead-letters')).toEqual([
      ['roles/pubsub.publisher', [AGENT]],
      ['roles/pubsub.publisher', [SERVER]],
    ]);
    expect(membersOf(policies, 'analytics-bigquery')).toEqual([['roles/pubsub.subscriber', [AGENT]]]);
    expect(again).toEqual([]);
  });

  it('regression: names no account to write as where none was given, since nobody may act as that of Pub/Sub', async () => {
    const { subscriptions } = await provisioned(AGENT);
    expect(subscriptions.get('analytics-bigquery')).toMatchObject({
      bigqueryConfig: { table: 'acme-web.daybook.events', useTableSchema: true, dropUnknownFields: false },
      deadLetterPolicy: {
        deadLetterTopic: 'projects/acme-web/topics/analytics-dead-letters',
        maxDeliveryAttempts: 100,
      },
    });
    for (const { bigqueryConfig } of subscriptions.values()) {
      expect(Object.keys(bigqueryConfig)).not.toContain('serviceAccountEmail');
    }
  });

  it('names the account to write as where one was given', async () => {
    const { subscriptions } = await provisioned(WRITER);
    for (const { bigqueryConfig } of subscriptions.values()) {
      expect(bigqueryConfig).toMatchObject({
        serviceAccountEmail: 'writer@acme-web.iam.gserviceaccount.com',
      });
    }
  });
});
