import { afterEach } from 'vitest';
import { applyAll, googleClients, planAll, type GoogleClients } from '../../src/cli/gcp-provision.ts';
import { readConfig, type Config } from '../../src/config.ts';
import { pubsubNames } from '../../src/transport/pubsub/names.ts';
import { tableId } from '../../src/warehouse/bigquery/names.ts';
import { startBigquery, type BigqueryEngine } from './engines/bigquery.ts';
import { startPubsub, type Pubsub } from './engines/pstest.ts';
import { startSubscription, type TestSubscription } from './subscription.ts';

/** Google Cloud as the tests have it: Google's Pub/Sub server, a BigQuery emulator, and what delivers between them. */
export interface TestGoogle {
  readonly pubsub: Pubsub;
  readonly bigquery: BigqueryEngine;
  /** The environment of a server that uses it. */
  readonly env: Readonly<Record<string, string>>;
  readonly config: Config;
  readonly clients: GoogleClients;
  /** Makes topics, subscriptions, tables and views with the product's own provisioning. Returns what it made. */
  provision(changes?: Readonly<Record<string, string>>): Promise<readonly string[]>;
  /** Starts the stand-ins for both subscriptions. */
  deliver(): Promise<void>;
  /** Resolves when everything published is in a table. */
  delivered(): Promise<void>;
}

const started: (() => Promise<void>)[] = [];

/** Ends everything that the test started, the last first. */
afterEach(async () => {
  for (const stop of started.splice(0).toReversed()) await stop();
});

export async function startGoogle(changes: Readonly<Record<string, string>> = {}): Promise<TestGoogle> {
  const [pubsub, bigquery] = await Promise.all([startPubsub(), startBigquery()]);
  started.push(async () => void (await Promise.all([pubsub.stop(), bigquery.stop()])));
  const env = {
    ...pubsub.env,
    ...bigquery.env,
    DAYBOOK_WAREHOUSE: 'bigquery',
    GOOGLE_CLOUD_PROJECT: pubsub.projectId,
    DAYBOOK_BIGQUERY_STALENESS_MS: '0',
    ...changes,
  };
  // Google's clients read the emulators' addresses from the environment of this process.
  Object.assign(process.env, pubsub.env, bigquery.env);
  const config = readConfig(env);
  const clients = googleClients(config);
  started.push(() => clients.pubsub.close());
  const subscriptions: TestSubscription[] = [];
  return {
    pubsub,
    bigquery,
    env,
    config,
    clients,
    provision: async (more = {}) => {
      const steps = await planAll(readConfig({ ...env, ...more }), clients, undefined);
      await applyAll(steps, () => undefined, 10);
      return steps.map(({ what }) => what);
    },
    deliver: async () => {
      subscriptions.push(...(await startSubscriptions(config, pubsub, bigquery)));
      for (const subscription of subscriptions) started.push(() => subscription.stop());
    },
    delivered: async () => {
      for (const subscription of subscriptions) await subscription.drained();
    },
  };
}

async function startSubscriptions(
  { google }: Config,
  pubsub: Pubsub,
  bigquery: BigqueryEngine,
): Promise<TestSubscription[]> {
  const { place, topic } = google;
  const names = pubsubNames(topic);
  const shared = { pubsub, bigquery, dataset: place.dataset };
  return [
    await startSubscription({
      ...shared,
      topic: names.topic,
      name: names.subscription,
      table: tableId(place, 'table'),
      deadLetterTopic: names.deadLetterTopic,
      useTableSchema: true,
    }),
    await startSubscription({
      ...shared,
      topic: names.deadLetterTopic,
      name: names.deadLetterSubscription,
      table: tableId(place, 'dead_letters_raw'),
      useTableSchema: false,
      writeMetadata: true,
    }),
  ];
}
