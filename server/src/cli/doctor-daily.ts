import type { Config } from '../config.ts';
import { lateAfterMs } from '../reports/late-daily.ts';
import { locationOf, type BigqueryClient } from '../warehouse/bigquery/client.ts';
import { dailyTableAge, viewsBytes } from '../warehouse/bigquery/daily-state.ts';
import { tableId } from '../warehouse/bigquery/names.ts';

/** US dollars for a TiB read, on demand. https://cloud.google.com/bigquery/pricing#on_demand_pricing */
const DOLLARS_A_TIB = 6.25;

/** Least that a query is billed, a table; the three views are as many. */
const VIEWS_BYTES_MIN = 3 * 10 * 1_024 * 1_024;

export interface DailyFinding {
  readonly good: boolean;
  readonly text: string;
  readonly help: string;
}

/** Whether reports can read the table of days, and what they cost where they cannot. */
export async function dailyFinding(
  client: BigqueryClient,
  { google, timezone }: Config,
  nowMs: number,
): Promise<DailyFinding> {
  const { place, dailyMinutes } = google;
  const location = (await locationOf(client, place)) ?? google.location;
  const asked = { place, timezone, location };
  const asOfUs = await dailyTableAge(client, asked);
  const table = `${place.dataset}.${tableId(place, 'daily_table')}`;
  const help =
    '"daybook gcp provision" makes table and scheduled query; their runs are listed under Scheduled queries';
  if (asOfUs === undefined) {
    const bytes = Math.max(await viewsBytes(client, asked), VIEWS_BYTES_MIN);
    const dollars = ((bytes / 2 ** 40) * DOLLARS_A_TIB).toFixed(5);
    const text =
      `${table} is not there, or was never made for this version and timezone: each report reads the views, ` +
      `${(bytes / 1e6).toFixed(1)} MB or $${dollars} a load`;
    return { good: true, text: `note: ${text}`, help };
  }
  const ageMs = nowMs - asOfUs / 1_000;
  const made = `${table} is of ${new Date(asOfUs / 1_000).toISOString()}`;
  if (ageMs <= lateAfterMs(dailyMinutes)) return { good: true, text: made, help };
  const text = `${made}, ${Math.floor(ageMs / 60_000)} minutes ago, and should be made every ${dailyMinutes} minutes: reports are old`;
  return { good: false, text, help };
}
