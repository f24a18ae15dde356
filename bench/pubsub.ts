import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { makePubsubClient } from '../server/src/transport/pubsub/client.ts';
import { startPubsub, type Pubsub } from '../server/test/cloud/engines/pstest.ts';
import { DAY_S, traffic } from './lines.ts';
import { round } from './load.ts';
import { inPlace } from './places.ts';
import { fixed, median, type Report } from './report.ts';
import { startProduct, startTopicEach, type Server } from './servers.ts';

/*
 * The way to Pub/Sub, from HTTP to the acknowledgement of Google's own test broker on the same machine: against the same
 * publisher called directly (`direct-publisher.ts`), and against a new topic object for each request (`topic-each.ts`).
 */

const DIRECT = fileURLToPath(new URL('direct-publisher.ts', import.meta.url));
const BATCH_EVENTS = 100;

export async function pubsub(report: Report, quick: boolean): Promise<void> {
  const broker = await startPubsub();
  Object.assign(process.env, broker.env);
  const client = makePubsubClient(broker.projectId);
  await client.topic('analytics').create();
  await client.close();
  const env = { ...broker.env, GOOGLE_CLOUD_PROJECT: broker.projectId };
  try {
    await inPlace('pubsub', async (directory) => {
      const ours = await startProduct(
        directory,
        { ...env, DAYBOOK_WAREHOUSE: 'bigquery', BIGQUERY_EMULATOR_HOST: 'http://127.0.0.1:9' },
        '/health/live',
      );
      try {
        await againstDirect(report, { ours, broker, env, quick });
        await againstTopicEach(report, { ours, broker, env, quick });
      } finally {
        await ours.stop();
      }
    });
  } finally {
    await broker.stop();
  }
}

interface Sides {
  readonly ours: Server;
  readonly broker: Pubsub;
  readonly env: Record<string, string>;
  readonly quick: boolean;
}

async function againstDirect(report: Report, { ours, broker, env, quick }: Sides): Promise<void> {
  const direct = startDirect(env);
  const load = { path: '/analytics/events', bodies: bodies(BATCH_EVENTS), roundS: quick ? 2 : 4 };
  const ratios: number[] = [];
  const [mine, floor]: [number[], number[]] = [[], []];
  await round(ours, load);
  await direct.round(load.roundS * 1_000);
  for (let index = 0; index < (quick ? 3 : 5); index += 1) {
    await broker.clear();
    const perSecond = (await round(ours, load)).perSecond * BATCH_EVENTS;
    await broker.clear();
    const directly = await direct.round(load.roundS * 1_000);
    mine.push(perSecond);
    floor.push(directly);
    ratios.push(perSecond / directly);
  }
  await direct.stop();
  report.atLeast(`Pub/Sub, batches of ${BATCH_EVENTS} events, against the publisher without HTTP`, {
    ours: `${fixed(median(mine))} events/s`,
    floor: `${fixed(median(floor))} events/s`,
    ratio: median(ratios),
    target: 0.5,
  });
}

/**
 * One event a request on both sides, and ours in batches, which the other has not. What counts is what the broker has
 * stored when the round ends: an answer that waits for nothing says nothing.
 */
async function againstTopicEach(report: Report, { ours, broker, env, quick }: Sides): Promise<void> {
  const each = await startTopicEach(env);
  const roundS = quick ? 2 : 4;
  const single = { path: '/analytics/event', bodies: bodies(1), roundS };
  const batches = { path: '/analytics/events', bodies: bodies(BATCH_EVENTS), roundS };
  const figures: { single: number; batch: number; each: number }[] = [];
  try {
    await storedIn(broker, each, single);
    for (let index = 0; index < (quick ? 3 : 5); index += 1) {
      figures.push({
        single: await storedIn(broker, ours, single),
        each: await storedIn(broker, each, single),
        batch: await storedIn(broker, ours, batches),
      });
    }
  } finally {
    await each.stop();
  }
  const floor = `${fixed(median(figures.map((of) => of.each)))} events/s`;
  for (const [what, side] of [
    ['single events', 'single'],
    [`batches of ${BATCH_EVENTS}`, 'batch'],
  ] as const) {
    const ratio = median(figures.map((of) => of[side] / of.each));
    const shown = { ours: `${fixed(median(figures.map((of) => of[side])))} events/s`, floor };
    const title = `Pub/Sub, ${what}, stored, against a new topic object a request and no wait`;
    if (side === 'batch') report.atLeast(title, { ...shown, ratio, target: 5 });
    else report.add({ what: title, ...shown, ratio: fixed(ratio), target: '' });
  }
}

/** Events a second that the broker stored in one round. */
async function storedIn(broker: Pubsub, server: Server, load: Parameters<typeof round>[1]): Promise<number> {
  await broker.clear();
  const startedMs = performance.now();
  await round(server, load);
  const seconds = (performance.now() - startedMs) / 1_000;
  const { topics } = await broker.counters();
  return Object.values(topics).reduce((sum, count) => sum + count, 0) / seconds;
}

function bodies(size: number): string[] {
  const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
  return Array.from({ length: 20 }, () => {
    const events = [...traffic({ events: size, users: 500, days: 1, fromS, givenIds: false })];
    return JSON.stringify(size === 1 ? events[0] : events);
  });
}

function startDirect(env: Record<string, string>) {
  const child = spawn(process.execPath, [DIRECT], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  return {
    round: async (ms: number): Promise<number> => {
      const answer = once(child.stdout, 'data');
      child.stdin.write(`${ms}\n`);
      return Number((await answer)[0]);
    },
    stop: async () => {
      const exit = once(child, 'exit');
      child.stdin.end();
      await exit;
    },
  };
}
