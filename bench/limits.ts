import { join } from 'node:path';
import { EventLines } from '../server/src/event/lines.ts';
import { encodeRecord, openJournalFile } from '../server/src/transport/journal/store.ts';
import { DAY_S, traffic, trafficLines } from './lines.ts';
import { compare, round, type Load } from './load.ts';
import { inPlace } from './places.ts';
import { fixed, median, type Report } from './report.ts';
import { startFloor, startProduct, startUnstored, type Server } from './servers.ts';

/*
 * Where the limits of the ingest benchmarks lie, step by step: the same way in without the journal and the loader
 * (`unstored.ts`), with the journal while the loader rests, and the processor time of an event over all threads of
 * the server, which two cores also have to find for the client. Last, one fsynced commit with nothing else running.
 */

const COMMIT_EVENTS = 32;
const COMMITS = 500;

/** Longer than the benchmark: the loader takes what it finds at the start, and rests. */
const RESTING = { DAYBOOK_LOADER_INTERVAL_MS: '60000', DAYBOOK_JOURNAL_BYTES_MAX: String(2 ** 34) };

export async function limits(report: Report, quick: boolean): Promise<void> {
  for (const batch of [1, 100]) {
    const load = loadOf(batch, quick);
    const what = batch === 1 ? 'single events' : `batches of ${batch} events`;
    await step(report, `${what} with nothing stored`, { batch, load, start: startUnstored });
    await inPlace('limits', (directory) => {
      const start = () => startProduct(directory, RESTING);
      return step(report, `${what}, the journal alone`, { batch, load, start });
    });
    await inPlace('limits', (directory) => processor(report, what, { batch, load, directory }));
  }
  await inPlace('limits', (directory) => commits(report, directory));
}

function loadOf(batch: number, quick: boolean): Load {
  const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
  const bodies = Array.from({ length: batch === 1 ? 500 : 64 }, () => {
    const events = [...traffic({ events: batch, users: 500, days: 1, fromS, givenIds: false })];
    return JSON.stringify(batch === 1 ? events[0] : events);
  });
  const path = batch === 1 ? '/analytics/event' : '/analytics/events';
  return { path, bodies, rounds: quick ? 3 : 5, roundS: quick ? 2 : 4 };
}

interface Step {
  /** Events in a request. */
  readonly batch: number;
  readonly load: Load;
  readonly start: () => Promise<Server>;
}

async function step(report: Report, what: string, { batch, load, start }: Step): Promise<void> {
  const [ours, floor] = [await start(), await startFloor()];
  try {
    const result = await compare(ours, floor, load);
    report.add({
      what: `limit: ${what}`,
      ours: `${fixed(result.ours.perSecond * batch)} events/s`,
      floor: `${fixed(result.floor.perSecond * batch)} events/s`,
      ratio: fixed(result.ratio),
      target: '',
    });
  } finally {
    await Promise.all([ours.stop(), floor.stop()]);
  }
}

/** What one event costs over all threads of the server, the loader's included, while it is under full load. */
async function processor(
  report: Report,
  what: string,
  { batch, load, directory }: Omit<Step, 'start'> & { directory: string },
): Promise<void> {
  const ours = await startProduct(directory, { DAYBOOK_JOURNAL_BYTES_MAX: String(2 ** 34) });
  const floor = await startFloor();
  try {
    const used = async (server: Server) => {
      await round(server, load);
      const beforeMs = server.processorMs();
      const { perSecond } = await round(server, { ...load, roundS: load.roundS * 2 });
      return ((server.processorMs() - beforeMs) * 1_000) / (perSecond * batch * load.roundS * 2);
    };
    const [oursUs, floorUs] = [await used(ours), await used(floor)];
    report.stated(`limit: ${what}, processor time each`, `${fixed(oursUs)} µs`, `${fixed(floorUs)} µs`);
  } finally {
    await Promise.all([ours.stop(), floor.stop()]);
  }
}

/** Commits one after the other: what one costs in time, and in processor time over all threads. */
async function commits(report: Report, directory: string): Promise<void> {
  const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
  const lines = EventLines.of([
    ...trafficLines({ events: COMMIT_EVENTS, users: 500, days: 1, fromS, givenIds: false }),
  ]);
  const store = openJournalFile(join(directory, 'journal.lmdb'), 2 ** 30);
  const times: number[] = [];
  let cpu = process.cpuUsage();
  for (let commit = -50; commit < COMMITS; commit += 1) {
    if (commit === 0) cpu = process.cpuUsage();
    const startedMs = performance.now();
    await store.records.put((commit + 50) * COMMIT_EVENTS, encodeRecord(lines.chunks));
    if (commit >= 0) times.push(performance.now() - startedMs);
  }
  const { user, system } = process.cpuUsage(cpu);
  await store.root.close();
  const used = (user + system) / 1_000 / COMMITS;
  report.stated(
    `limit: one fsynced commit of ${COMMIT_EVENTS} events, alone (median)`,
    `${fixed(median(times))} ms, ${fixed(used)} ms of processor`,
  );
}
