import { starts } from './daily.ts';
import { DAY_S, traffic } from './lines.ts';
import { round } from './load.ts';
import { inPlace } from './places.ts';
import { fixed, type Report } from './report.ts';
import { startProduct } from './servers.ts';

/* What the server takes, beside its work: memory under full load, and time to start on an empty directory. */

const MIB = 1_024 * 1_024;
/** A low limit, so that what DuckDB leaves unused of it does not hide what the rest takes. */
const DUCKDB_MEMORY_BYTES = 256 * MIB;

export async function footprint(report: Report, quick: boolean): Promise<void> {
  await inPlace('footprint', (directory) =>
    starts(report, 'start-up to the first answer, empty (median of 5)', directory),
  );
  await inPlace('footprint', async (directory) => {
    const fromS = Math.floor(Date.now() / 1_000) - DAY_S;
    const events = [...traffic({ events: 20_000, users: 5_000, days: 1, fromS, givenIds: false })];
    const one = events.slice(0, 1_000).map((event) => JSON.stringify(event));
    const batches = Array.from({ length: 20 }, (_, index) =>
      JSON.stringify(events.slice(index * 1_000, (index + 1) * 1_000)),
    );
    const server = await startProduct(directory, {
      DAYBOOK_DUCKDB_MEMORY_BYTES_MAX: String(DUCKDB_MEMORY_BYTES),
      DAYBOOK_JOURNAL_BYTES_MAX: String(16 * 1_024 * MIB),
    });
    try {
      const roundS = quick ? 4 : 10;
      const ownBytes = server.watchOwnBytes();
      await round(server, { path: '/analytics/event', bodies: one, roundS });
      await round(server, { path: '/analytics/events', bodies: batches, roundS });
      report.atMost(
        `highest memory of its own beyond DuckDB's limit (${DUCKDB_MEMORY_BYTES / MIB} MiB), full load`,
        {
          ours: (ownBytes() - DUCKDB_MEMORY_BYTES) / MIB,
          target: 512,
          unit: 'MiB',
        },
      );
      report.stated(
        'the same with pages of mapped files: programs, libraries, the journal',
        `${fixed((server.peakBytes() - DUCKDB_MEMORY_BYTES) / MIB)} MiB`,
      );
    } finally {
      await server.stop();
    }
  });
}
