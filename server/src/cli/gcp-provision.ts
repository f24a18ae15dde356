import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { checkCredentialsFile } from '../credentials.ts';
import type { Members, ProvisionStep } from '../google.ts';
import { makePubsubClient, type PubsubClient } from '../transport/pubsub/client.ts';
import { planPubsub } from '../transport/pubsub/provision.ts';
import { locationOf, makeBigqueryClient, type BigqueryClient } from '../warehouse/bigquery/client.ts';
import { tableId } from '../warehouse/bigquery/names.ts';
import { placeWarnings } from '../warehouse/bigquery/warnings.ts';
import { planBigquery, projectNumber } from '../warehouse/bigquery/provision.ts';

export interface ProvisionOptions {
  readonly dryRun?: boolean;
  /** Email of the account that the subscriptions write as; default: Pub/Sub's own account. */
  readonly writer?: string;
  /** IAM member that the server runs as; default: its rights are given elsewhere. */
  readonly server?: string;
  readonly projectNumber?: string;
  /** Email of the account that the scheduled query runs as; false: none is made. */
  readonly scheduler?: string | false;
}

export interface GoogleClients {
  readonly pubsub: PubsubClient;
  readonly bigquery: BigqueryClient;
}

/** @throws Error when the configuration is not that of Google Cloud */
export function googleClients(config: Config): GoogleClients {
  const { warehouse, google } = config;
  if (warehouse !== 'bigquery')
    throw new Error('set GOOGLE_CLOUD_PROJECT and BIGQUERY_TABLE_NAME first, or DAYBOOK_WAREHOUSE=bigquery');
  checkCredentialsFile(config);
  const { projectId, location, bigqueryEmulator: emulator } = google;
  return {
    pubsub: makePubsubClient(projectId),
    bigquery: makeBigqueryClient({ projectId, location, emulator }),
  };
}

/** Prints what is missing on Google Cloud, then makes it. What is there already is left as it is. */
export async function provision(config: Config, options: ProvisionOptions): Promise<number> {
  const clients = googleClients(config);
  try {
    const { projectId } = config.google;
    for (const warning of await placeWarnings(clients.bigquery, config.google))
      process.stdout.write(`! ${warning}\n`);
    const members = await membersOf(config, clients.bigquery, options);
    const steps = await planAll(config, clients, members);
    if (steps.length === 0) process.stdout.write(`nothing is missing in project ${projectId}\n`);
    for (const { what, sql } of steps)
      process.stdout.write(`+ ${what}\n${sql === undefined ? '' : indent(sql)}`);
    for (const command of byHand(projectId, members)) process.stdout.write(`by hand, once: ${command}\n`);
    if (options.dryRun === true) return 0;
    const failed = await applyAll(steps, ({ what }) => process.stdout.write(`✓ ${what}\n`));
    for (const why of failed) process.stdout.write(`! not made: ${why}\n`);
    return 0;
  } finally {
    await clients.pubsub.close();
  }
}

/** Rights that lie beyond dataset and topic, as commands: whoever provisions need not be the project's owner. */
function byHand(projectId: string, members: Members | undefined): readonly string[] {
  const { server, writer, pubsubAgent, scheduler } = members ?? {};
  const commands: string[] = [];
  const mayQuery = (member: string) =>
    `gcloud projects add-iam-policy-binding ${projectId} --member=${member} --role=roles/bigquery.jobUser`;
  if (server !== undefined) commands.push(mayQuery(server));
  if (scheduler !== undefined) {
    const account = scheduler.replace(/^serviceAccount:/, '');
    commands.push(
      `gcloud services enable bigquerydatatransfer.googleapis.com --project=${projectId}`,
      `gcloud iam service-accounts create ${account.split('@')[0]} --project=${projectId}`,
      mayQuery(scheduler),
      `gcloud iam service-accounts add-iam-policy-binding ${account} --member=YOU --role=roles/iam.serviceAccountUser`,
    );
  }
  if (writer !== undefined && writer !== pubsubAgent) {
    const account = writer.replace(/^serviceAccount:/, '');
    commands.push(
      `gcloud iam service-accounts add-iam-policy-binding ${account} --member=${pubsubAgent} ` +
        '--role=roles/iam.serviceAccountTokenCreator',
    );
  }
  return commands;
}

/** Tables come before the subscriptions that write them. */
export async function planAll(
  { google, timezone }: Config,
  { pubsub, bigquery }: GoogleClients,
  members: Members | undefined,
): Promise<readonly ProvisionStep[]> {
  const { place, location, topic, projectId, dailyMinutes } = google;
  const rights = members === undefined ? {} : { members };
  const whole = (name: 'table' | 'dead_letters_raw') =>
    `${place.projectId}.${place.dataset}.${tableId(place, name)}`;
  return [
    ...(await planBigquery(bigquery, { place, location, timezone, projectId, dailyMinutes, ...rights })),
    ...(await planPubsub(pubsub, {
      projectId,
      topic,
      location: (await locationOf(bigquery, place)) ?? location,
      eventsTable: whole('table'),
      deadLettersTable: whole('dead_letters_raw'),
      ...rights,
    })),
  ];
}

/** Tries of a step; rights that were just given take some seconds until they hold everywhere. */
const TRIES_MAX = 6;
const RETRY_MS = 10_000;

/**
 * Makes everything, except what is optional and cannot be made: after one such step the others of its kind are left out. Says why.
 * @throws Error that names the step which failed
 */
export async function applyAll(
  steps: readonly ProvisionStep[],
  done: (step: ProvisionStep) => void,
  pauseMs = RETRY_MS,
): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const step of steps) {
    if (step.optional !== undefined && failed.length > 0) continue;
    try {
      await applyOne(step, pauseMs);
      done(step);
    } catch (error) {
      if (step.optional === undefined) throw error;
      failed.push(`${(error as Error).message}; ${step.optional}`);
    }
  }
  return failed;
}

async function applyOne(step: ProvisionStep, pauseMs: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await step.apply();
      return;
    } catch (error) {
      const { message } = error as Error;
      const passes = /permission|denied|does not exist|not found|precondition/i.test(message);
      if (attempt === TRIES_MAX || !passes) throw new Error(`${step.what}: ${message}`, { cause: error });
      await sleep(pauseMs);
    }
  }
}

/** Who gets rights; nobody with an emulator, which has none to give. */
export async function membersOf(
  { google }: Config,
  bigquery: BigqueryClient,
  options: ProvisionOptions,
): Promise<Members | undefined> {
  if (google.pubsubEmulator || google.bigqueryEmulator) return undefined;
  const number = options.projectNumber ?? (await projectNumber(bigquery));
  const pubsubAgent = `serviceAccount:service-${number}@gcp-sa-pubsub.iam.gserviceaccount.com`;
  const writer = options.writer === undefined ? pubsubAgent : `serviceAccount:${options.writer}`;
  const { scheduler = `daybook-daily@${google.projectId}.iam.gserviceaccount.com` } = options;
  return {
    writer,
    pubsubAgent,
    ...(options.server === undefined ? {} : { server: options.server }),
    ...(scheduler === false ? {} : { scheduler: `serviceAccount:${scheduler}` }),
  };
}

function indent(sql: string): string {
  return `${sql.replaceAll(/^/gm, '    ')}\n`;
}
