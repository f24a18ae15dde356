import type { BigqueryClient } from './client.ts';
import { dailyTableRows } from './daily-table.ts';
import { isNotFound } from './errors.ts';
import { tableSql, type BigqueryPlace } from './names.ts';

interface Asked {
  readonly place: BigqueryPlace;
  readonly timezone: string;
  readonly location: string;
}

/** The moment that the table of days is of, in unix microseconds; undefined where there is no table, or no run of this version. */
export async function dailyTableAge(
  client: BigqueryClient,
  { place, timezone, location }: Asked,
): Promise<number | undefined> {
  const query = `SELECT UNIX_MICROS(MAX(as_of)) AS as_of_us FROM ${dailyTableRows(place, timezone)} AS kept`;
  try {
    const [job] = await client.createQueryJob({ query, location });
    const [rows] = await job.getQueryResults({});
    return (rows as { as_of_us: number | null }[])[0]?.as_of_us ?? undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** What a report reads without the table of days, in bytes; a dry run costs nothing. */
export async function viewsBytes(client: BigqueryClient, { place, location }: Asked): Promise<number> {
  const query = `SELECT * FROM ${tableSql(place, 'daily')}`;
  const [job] = await client.createQueryJob({ query, location, dryRun: true });
  return Number(job.metadata.statistics?.totalBytesProcessed ?? 0);
}
