import { join } from 'node:path';
import { DAY_S, traffic } from './lines.ts';
import { compare } from './load.ts';
import { inPlace } from './places.ts';
import { fixed, type Report } from './report.ts';
import { startBuild, startProduct } from './servers.ts';

/*
 * This build against another one, for what must not become slower: durable single events and batches. BENCH_BEFORE
 * names a clone of another commit in which `npm run build` ran.
 */

const JOURNAL_BYTES_MAX = 16 * 1_024 * 1_024 * 1_024;

export async function before(report: Report, quick: boolean): Promise<void> {
  const clone = process.env['BENCH_BEFORE'];
  if (clone === undefined) throw new Error('BENCH_BEFORE: name a clone of the commit to compare with');
  for (const size of [1, 100, 1_000]) {
    await inPlace('before', (directory) => compareBuilds(report, { clone, directory, size, quick }));
  }
}

interface Builds {
  readonly clone: string;
  readonly directory: string;
  /** Events in a request. */
  readonly size: number;
  readonly quick: boolean;
}

async function compareBuilds(report: Report, { clone, directory, size, quick }: Builds): Promise<void> {
  const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
  const count = size === 1 ? 1_000 : 20;
  const events = [...traffic({ events: count * size, users: 5_000, days: 1, fromS, givenIds: false })];
  const bodies = Array.from({ length: count }, (_, index) => {
    const part = events.slice(index * size, (index + 1) * size);
    return JSON.stringify(size === 1 ? part[0] : part);
  });
  const env = { DAYBOOK_JOURNAL_BYTES_MAX: String(JOURNAL_BYTES_MAX) };
  const ours = await startProduct(join(directory, 'ours'), env);
  const other = await startBuild(clone, join(directory, 'other'), env);
  try {
    const path = size === 1 ? '/analytics/event' : '/analytics/events';
    const result = await compare(ours, other, {
      path,
      bodies,
      rounds: quick ? 5 : 11,
      roundS: quick ? 2 : 4,
    });
    report.atLeast(`requests of ${size.toLocaleString('en')} events against the other build`, {
      ours: `${fixed(result.ours.perSecond * size)} events/s`,
      floor: `${fixed(result.floor.perSecond * size)} events/s`,
      ratio: result.ratio,
      target: 1,
    });
  } finally {
    await Promise.all([ours.stop(), other.stop()]);
  }
}
