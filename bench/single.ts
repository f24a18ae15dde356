import { DAY_S, traffic } from './lines.ts';
import { compare } from './load.ts';
import { inPlace } from './places.ts';
import { fixed, type Report } from './report.ts';
import { startFloor, startProduct } from './servers.ts';

/* One event a request, each answered once it is fsynced, against a bare route that stores nothing (`floor.ts`). */

const BODIES = 1_000;

export async function single(report: Report, quick: boolean): Promise<void> {
  await inPlace('single', async (directory) => {
    const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
    const events = traffic({ events: BODIES, users: 500, days: 1, fromS, givenIds: false });
    const bodies = Array.from(events, (event) => JSON.stringify(event));
    const ours = await startProduct(directory);
    const floor = await startFloor();
    try {
      const load = { path: '/analytics/event', bodies, rounds: quick ? 3 : 5, roundS: quick ? 2 : 4 };
      const result = await compare(ours, floor, load);
      report.atLeast('single events, 64 connections', {
        ours: `${fixed(result.ours.perSecond)} requests/s`,
        floor: `${fixed(result.floor.perSecond)} requests/s`,
        ratio: result.ratio,
        target: 0.85,
      });
      report.stated(
        'p99 of a durable 200, 64 connections',
        `${result.ours.p99Ms} ms`,
        `${result.floor.p99Ms} ms`,
      );
    } finally {
      await Promise.all([ours.stop(), floor.stop()]);
    }
  });
}
