import { DAY_S, traffic } from './lines.ts';
import { compare } from './load.ts';
import { inPlace } from './places.ts';
import { fixed, type Report } from './report.ts';
import { startFloor, startProduct } from './servers.ts';

/*
 * Batches, each answered once it is fsynced, against a bare route that parses and checks the same array and
 * stores nothing (`floor.ts`). The journal may grow so that it never refuses: what is measured is taking in.
 */

const SIZES = [100, 1_000];
const JOURNAL_BYTES_MAX = 16 * 1_024 * 1_024 * 1_024;

export async function batch(report: Report, quick: boolean): Promise<void> {
  const floor = await startFloor();
  try {
    for (const size of SIZES) {
      await inPlace('batch', async (directory) => {
        const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
        const events = [...traffic({ events: 20 * size, users: 5_000, days: 1, fromS, givenIds: false })];
        const bodies = Array.from({ length: 20 }, (_, index) =>
          JSON.stringify(events.slice(index * size, (index + 1) * size)),
        );
        const ours = await startProduct(directory, { DAYBOOK_JOURNAL_BYTES_MAX: String(JOURNAL_BYTES_MAX) });
        try {
          const load = { path: '/analytics/events', bodies, rounds: quick ? 3 : 5, roundS: quick ? 2 : 3 };
          const result = await compare(ours, floor, load);
          report.atLeast(`batches of ${size.toLocaleString('en')} events, 64 connections`, {
            ours: `${fixed(result.ours.perSecond * size)} events/s`,
            floor: `${fixed(result.floor.perSecond * size)} events/s`,
            ratio: result.ratio,
            target: 0.6,
          });
        } finally {
          await ours.stop();
        }
      });
    }
  } finally {
    await floor.stop();
  }
}
