import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DUCKDB_FILE } from '../server/src/warehouse/duckdb/open-file.ts';
import { DAY_S, traffic } from './lines.ts';
import { inPlace } from './places.ts';
import { fixed, median, type Report } from './report.ts';
import { startProduct, timed, type Server } from './servers.ts';
import { DAYS, makeFile, PLAIN_SQL, withFile } from './warehouse.ts';

/*
 * Reading the daily report over HTTP, on a file that holds many events. The floor is the plain SQL of its four
 * metrics on the same file, with the machine to itself; ours answers while 1,000 events/s come in. The files are made by SQL
 * (`warehouse.ts`).
 */

const FEED_EVENTS = 100;
const FEED_INTERVAL_MS = 100;
const PROBES = 20;
const STARTS = 5;

export async function daily(report: Report, quick: boolean): Promise<void> {
  const [many, few] = quick ? [2_000_000, 200_000] : [20_000_000, 1_000_000];
  const size = `${fixed(many / 1e6)} M events`;
  await inPlace('daily', async (directory) => {
    const large = join(directory, 'large');
    const small = join(directory, 'small');
    const madeMs = await took(() => makeFile(large, many));
    process.stdout.write(`      ${size} made in ${fixed(madeMs / 1_000)} s\n`);
    await makeFile(small, few);
    report.stated(
      'bytes on disk per event, rollups included',
      `${fixed(statSync(join(large, DUCKDB_FILE)).size / many)} bytes`,
    );
    const plainMs = await plain(large, quick ? 3 : 2);
    await starts(report, `start-up to the first answer, ${size} (median of ${STARTS})`, large);
    const server = await startProduct(large);
    try {
      await againstFewer(report, server, small, { size, fewer: `${fixed(few / 1e6)} M` });
      await whileFed(server, async () => {
        const report90 = await medianMs(server, '/analytics/daily', 200);
        report.atLeast(`daily report at ${size}, while 1,000 events/s come in, vs plain SQL (times faster)`, {
          ours: `${fixed(report90)} ms`,
          floor: `${fixed(plainMs)} ms`,
          ratio: plainMs / report90,
          target: 300,
        });
        const seenMs = await probes(server);
        report.atMost(`from the 200 to being in the report, ${size}, longest of ${PROBES}`, {
          ours: Math.max(...seenMs),
          floor: `median ${fixed(median(seenMs))} ms`,
          target: 1_000,
          unit: 'ms',
        });
      });
    } finally {
      await server.stop();
    }
  });
}

/** Median time from the process's start to its first report. */
export async function starts(report: Report, what: string, directory: string): Promise<void> {
  const times: number[] = [];
  for (let start = 0; start < STARTS; start += 1) {
    const server = await startProduct(directory);
    times.push(server.startMs);
    await server.stop();
  }
  report.atMost(what, { ours: median(times), target: 1_500, unit: 'ms' });
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

function plain(directory: string, times: number): Promise<number> {
  return withFile(directory, async (run) => {
    const all: number[] = [];
    for (let time = 0; time < times; time += 1) all.push(await took(() => run(PLAIN_SQL)));
    return median(all);
  });
}

async function medianMs(server: Server, path: string, times: number): Promise<number> {
  const all: number[] = [];
  for (let time = 0; time < times; time += 1) {
    all.push((await timed(server.url + path)).ms);
    await sleep(10);
  }
  return median(all);
}

/** The same report on the large file and on a small one, in turn. */
async function againstFewer(
  report: Report,
  server: Server,
  small: string,
  names: { size: string; fewer: string },
): Promise<void> {
  const fewer = await startProduct(small);
  try {
    const path = `/analytics/daily?from=${isoDay(DAYS - 1)}&to=${isoDay(0)}`;
    const times: { large: number; small: number }[] = [];
    for (let time = 0; time < 300; time += 1) {
      const large = (await timed(server.url + path)).ms;
      times.push({ large, small: (await timed(fewer.url + path)).ms });
    }
    const large = median(times.map((pair) => pair.large));
    const few = median(times.map((pair) => pair.small));
    report.add({
      what: `daily report of ${DAYS} days, ${names.size} vs ${names.fewer}`,
      ours: `${fixed(large)} ms`,
      floor: `${fixed(few)} ms`,
      ratio: fixed(large / few),
      target: '≤ 1.5',
      pass: large / few <= 1.5,
    });
  } finally {
    await fewer.stop();
  }
}

/** The day so many days ago, UTC. */
function isoDay(ago: number): string {
  return new Date(Date.now() - ago * DAY_S * 1_000).toISOString().slice(0, 10);
}

/** Sends 1,000 events/s by users that are known already, from first to last of the work. */
async function whileFed(server: Server, work: () => Promise<void>): Promise<void> {
  const over = new AbortController();
  const feed = async () => {
    let nextMs = performance.now();
    while (!over.signal.aborted) {
      const fromS = Math.floor(Date.now() / 1_000) - 60;
      const events = traffic({ events: FEED_EVENTS, users: 1_000, days: 30 / DAY_S, fromS, givenIds: true });
      await timed(`${server.url}/analytics/events`, JSON.stringify([...events]));
      nextMs += FEED_INTERVAL_MS;
      await sleep(Math.max(0, nextMs - performance.now()));
    }
  };
  const fed = feed();
  await Promise.race([fed, sleep(3_000)]);
  try {
    await work();
  } finally {
    over.abort();
    await fed;
  }
}

/** Sends an event of a user that nobody saw before, and looks until the report counts it. */
async function probes(server: Server): Promise<number[]> {
  const totalUsers = async () =>
    (JSON.parse((await timed(`${server.url}/analytics/daily`)).text) as { total_users: number }).total_users;
  const seenMs: number[] = [];
  for (let probe = 0; probe < PROBES; probe += 1) {
    const before = await totalUsers();
    const id = `probe-${probe}-${Date.now()}`;
    const event = {
      type: 'event',
      event_name: 'probe',
      user_id: id,
      session_id: id,
      event_time: Date.now() / 1_000,
    };
    await timed(`${server.url}/analytics/event`, JSON.stringify(event));
    const ackedMs = performance.now();
    while ((await totalUsers()) === before) {
      if (performance.now() - ackedMs > 30_000) throw new Error('a probe was not seen within 30 s');
      await sleep(10);
    }
    seenMs.push(performance.now() - ackedMs);
    await sleep(37);
  }
  return seenMs;
}
