import { join } from 'node:path';
import { encodeRecord, openJournalFile } from '../server/src/transport/journal/store.ts';
import { DAY_S, traffic, trafficLines } from './lines.ts';
import { compare } from './load.ts';
import { inPlace } from './places.ts';
import { fixed, median, type Report } from './report.ts';
import { startFloor, startUnstored } from './servers.ts';

/*
 * Where the limits of the ingest benchmarks lie: the same way in without the journal and the loader
 * (`unstored.ts`), and one fsynced commit of the journal with nothing else running.
 */

const COMMIT_EVENTS = 32;
const COMMITS = 500;

export async function limits(report: Report, quick: boolean): Promise<void> {
  await wayIn(report, { batch: 1, quick });
  await wayIn(report, { batch: 100, quick });
  await inPlace('limits', (directory) => commits(report, directory));
}

async function wayIn(report: Report, { batch, quick }: { batch: number; quick: boolean }): Promise<void> {
  const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
  const bodies = Array.from({ length: batch === 1 ? 500 : 64 }, () => {
    const events = [...traffic({ events: batch, users: 500, days: 1, fromS, givenIds: false })];
    return JSON.stringify(batch === 1 ? events[0] : events);
  });
  const [ours, floor] = [await startUnstored(), await startFloor()];
  try {
    const path = batch === 1 ? '/analytics/event' : '/analytics/events';
    const result = await compare(ours, floor, { path, bodies, rounds: quick ? 3 : 5, roundS: quick ? 2 : 4 });
    const what = batch === 1 ? 'single events' : `batches of ${batch} events`;
    report.add({
      what: `limit: ${what} with nothing stored`,
      ours: `${fixed(result.ours.perSecond * batch)} events/s`,
      floor: `${fixed(result.floor.perSecond * batch)} events/s`,
      ratio: fixed(result.ratio),
      target: '',
    });
  } finally {
    await Promise.all([ours.stop(), floor.stop()]);
  }
}

/** Commits one after the other: what one costs in time, and in processor time over all threads. */
async function commits(report: Report, directory: string): Promise<void> {
  const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
  const lines = [...trafficLines({ events: COMMIT_EVENTS, users: 500, days: 1, fromS, givenIds: false })];
  const store = openJournalFile(join(directory, 'journal.lmdb'), 2 ** 30);
  const times: number[] = [];
  let cpu = process.cpuUsage();
  for (let commit = -50; commit < COMMITS; commit += 1) {
    if (commit === 0) cpu = process.cpuUsage();
    const startedMs = performance.now();
    await store.records.put((commit + 50) * COMMIT_EVENTS, encodeRecord(lines));
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
