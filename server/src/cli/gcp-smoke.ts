import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_PROJECT } from '../access/keys.ts';
import type { Config } from '../config.ts';
import { bigqueryOptions, pubsubOptions } from '../drivers.ts';
import { encodeLine } from '../event/line.ts';
import { EventLines } from '../event/lines.ts';
import { dailyReport, type DailyReport } from '../reports/daily.ts';
import { PubsubPublisher } from '../transport/pubsub/publisher.ts';
import { removePubsub } from '../transport/pubsub/provision.ts';
import { removeBigquery } from '../warehouse/bigquery/provision.ts';
import { BigqueryWarehouse } from '../warehouse/bigquery/warehouse.ts';
import type { Statement } from '../warehouse/contract.ts';
import { makeDays, smokeChecks } from './gcp-smoke-checks.ts';
import {
  applyAll,
  googleClients,
  membersOf,
  planAll,
  type GoogleClients,
  type ProvisionOptions,
} from './gcp-provision.ts';

/** Longest time until every event must be in the report, in milliseconds. */
const WAIT_MAX_MS = 300_000;
const POLL_MS = 2_000;

const DAY_S = 86_400;
const USERS = 20;

/**
 * Tries the whole way on a real project: makes topic, subscriptions, dataset and views of its own, sends events with
 * duplicates and late ones among them, waits until the report holds them, compares it with what it must say, tells the
 * latency and the bytes billed, and deletes what it made. 1 when the numbers differ or do not come.
 */
export async function smoke(base: Config, options: ProvisionOptions): Promise<number> {
  const config = ownNames(base, randomBytes(3).toString('hex'));
  const clients = googleClients(config);
  const { place, topic } = config.google;
  process.stdout.write(`topic ${topic}, dataset ${place.dataset}, in project ${place.projectId}\n`);
  const interrupted = new AbortController();
  const stop = () => interrupted.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const steps = await planAll(
      config,
      clients,
      await membersOf(config, clients.bigquery, { ...options, scheduler: false }),
    );
    await applyAll(steps, ({ what }) => process.stdout.write(`✓ ${what}\n`));
    return await sendAndCompare(config, clients, interrupted.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await cleanUp(config, clients);
  }
}

/** Deletes what was made; what cannot be deleted is named, and keeps nothing else from being deleted. */
async function cleanUp({ google }: Config, { pubsub, bigquery }: GoogleClients): Promise<void> {
  const results = await Promise.allSettled([
    removePubsub(pubsub, google.topic),
    removeBigquery(bigquery, google.place),
  ]);
  await pubsub.close();
  const failed = results.filter((result) => result.status === 'rejected');
  for (const { reason } of failed) process.stdout.write(`✗ not deleted: ${(reason as Error).message}\n`);
  if (failed.length === 0) process.stdout.write('✓ deleted topic, subscriptions and dataset\n');
}

/** Names that no other use of the project has. */
function ownNames(config: Config, tag: string): Config {
  const { google } = config;
  const place = { ...google.place, dataset: `${google.place.dataset}_smoke_${tag}` };
  return {
    ...config,
    timezone: 'UTC',
    google: { ...google, place, topic: `${google.topic}-smoke-${tag}`, stalenessMs: 0 },
  };
}

async function sendAndCompare(config: Config, clients: GoogleClients, signal: AbortSignal): Promise<number> {
  const { bigquery } = clients;
  const publisher = new PubsubPublisher(pubsubOptions(config));
  await publisher.open();
  const nowS = Math.floor(Date.now() / 1_000);
  await publisher.publish(EventLines.of(events(nowS)));
  const sentMs = performance.now();
  process.stdout.write('✓ the events are acknowledged\n');
  await publisher.close();

  const warehouse = new BigqueryWarehouse({ ...bigqueryOptions(config), makeClient: () => bigquery });
  await warehouse.open();
  const wanted = JSON.stringify(expected(nowS));
  let got = '';
  let bytes = 'unknown';
  while (got !== wanted && !signal.aborted && performance.now() - sentMs < WAIT_MAX_MS) {
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    [got, bytes] = await report(warehouse, nowS, true);
  }
  const seconds = ((performance.now() - sentMs) / 1_000).toFixed(1);
  if (got !== wanted) {
    process.stdout.write(`✗ after ${seconds} s the report is\n  ${got}\n  and must be\n  ${wanted}\n`);
    return 1;
  }
  process.stdout.write(`✓ the report is exact ${seconds} s after the acknowledgement\n`);
  process.stdout.write(`✓ ${bytes} bytes billed for a report from the views\n`);
  process.stdout.write(`· ${await makeDays(bigquery, config)}\n`);
  [got, bytes] = await report(warehouse, nowS, false);
  const same = got === wanted;
  process.stdout.write(
    same
      ? `✓ ${bytes} bytes billed for the same from the table of days\n`
      : `✗ from the table of days the report is\n  ${got}\n  and must be\n  ${wanted}\n`,
  );
  const { lines, good } = await smokeChecks(config, clients, warehouse);
  for (const line of lines) process.stdout.write(`${line}\n`);
  return good && same ? 0 : 1;
}

/** The report as text, and what BigQuery billed for it. */
async function report(
  warehouse: BigqueryWarehouse,
  nowS: number,
  fresh: boolean,
): Promise<readonly [report: string, bytesBilled: string]> {
  const query = { date_format: 'iso', timezone: 'UTC', fresh } as const;
  let bytes = 0;
  const billed = (more: number) => (bytes += more);
  const source = {
    dialect: warehouse.dialect,
    project: DEFAULT_PROJECT,
    reportingTimezone: 'UTC',
    query: (statement: Statement) => warehouse.query(statement, { timeoutMs: 60_000, billed }),
  };
  const text = JSON.stringify(await dailyReport(source, query, nowS * 1_000));
  return [text, bytes === 0 ? 'unknown' : String(bytes)];
}

/** Each user has a session of a minute today; every other one comes back late with one of yesterday; all twice. */
function events(nowS: number): string[] {
  const dayS = Math.floor(nowS / DAY_S) * DAY_S;
  const lines = Array.from({ length: USERS }, (_, user) => {
    const days = user % 2 === 0 ? [0, -1] : [0];
    return days.flatMap((day) =>
      [0, 60].map((offset) =>
        encodeLine(
          {
            type: 'event',
            event_name: 'smoke',
            user_id: `user-${user}`,
            session_id: `session-${user}-${day}`,
            event_time: dayS + day * DAY_S + offset,
            event_id: `event-${user}-${day}-${offset}`,
          },
          { project: DEFAULT_PROJECT, receivedAtUs: nowS * 1e6, newEventId: String },
        ),
      ),
    );
  }).flat();
  return [...lines, ...lines];
}

function expected(nowS: number): DailyReport {
  const day = (offset: number) => new Date((nowS + offset * DAY_S) * 1_000).toISOString().slice(0, 10);
  const stats = (offset: number, active: number, fresh: number) => ({
    date: day(offset),
    average_session_duration: 60,
    active_user_count: active,
    new_user_count: fresh,
  });
  return { total_users: USERS, daily_stats: [stats(0, USERS, USERS / 2), stats(-1, USERS / 2, USERS / 2)] };
}
