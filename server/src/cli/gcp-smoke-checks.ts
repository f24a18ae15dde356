import type { Config } from '../config.ts';
import { publishFault } from '../transport/pubsub/rights.ts';
import { locationOf, type BigqueryClient } from '../warehouse/bigquery/client.ts';
import { refreshViews } from '../warehouse/bigquery/ddl.ts';
import { rewriteDailyTable } from '../warehouse/bigquery/daily-table.ts';
import { readFaults } from '../warehouse/bigquery/rights.ts';
import type { BigqueryWarehouse } from '../warehouse/bigquery/warehouse.ts';
import type { GoogleClients } from './gcp-provision.ts';

/**
 * What only a real project can tell, beside the numbers of the report; each is told as it was seen. Lines, and whether something
 * is missing that reports or publishing need.
 */
export async function smokeChecks(
  { google }: Config,
  { pubsub, bigquery }: GoogleClients,
  warehouse: BigqueryWarehouse,
): Promise<{ readonly lines: readonly string[]; readonly good: boolean }> {
  const faults = [await publishFault(pubsub, google), ...(await readFaults(bigquery, google))].filter(
    (fault) => fault !== undefined,
  );
  const location = (await locationOf(bigquery, google.place)) ?? google.location;
  const differing = await warehouse.verify();
  return {
    good: faults.length === 0 && differing.length === 0,
    lines: [
      ...(faults.length === 0 ? ['✓ no right is missing'] : faults.map((fault) => `✗ ${fault}`)),
      ...(differing.length === 0
        ? ['✓ the views and the table of days agree with the rows']
        : differing.map(({ rollup, rows }) => `✗ ${rollup} differs from the rows in ${rows} rows`)),
      `· the dataset lies in ${location}`,
      ...(await refreshed(bigquery, google.place, location)),
    ],
  };
}

/** Makes the table of days once, as the scheduled query does every some minutes. */
export async function makeDays(client: BigqueryClient, { google, timezone }: Config): Promise<string> {
  const startedMs = performance.now();
  const location = (await locationOf(client, google.place)) ?? google.location;
  const query = rewriteDailyTable(google.place, timezone);
  const [job] = await client.createQueryJob({ query, location });
  await job.getQueryResults({});
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const [{ statistics }] = await job.getMetadata();
  const bytes = statistics?.query?.totalBytesBilled ?? 'unknown';
  return `the table of days was made in ${seconds} s, for ${bytes} bytes billed`;
}

/** Erasure needs this. https://cloud.google.com/bigquery/docs/materialized-views-manage#manual-refresh */
async function refreshed(
  client: BigqueryClient,
  place: Config['google']['place'],
  location: string,
): Promise<string[]> {
  const startedMs = performance.now();
  try {
    for (const query of refreshViews(place)) {
      const [job] = await client.createQueryJob({ query, location });
      await job.getQueryResults({});
    }
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    return [`· the materialized views were refreshed by hand in ${seconds} s`];
  } catch (error) {
    return [`· the materialized views cannot be refreshed by hand: ${(error as Error).message}`];
  }
}
