import { fixed, type Report } from './report.ts';

/*
 * What BigQuery reads for one daily report, by formula, since only a real project counts bytes: rows × bytes of the
 * columns, by BigQuery's sizes of types (https://cloud.google.com/bigquery/pricing#data). The floor is two full scans of the
 * columns that the report needs of the events, which is what it takes without rollups.
 */

/** A string of an id's length, a project's name, and the fixed sizes, in bytes. */
const ID = 2 + 36;
const PROJECT = 2 + 'default'.length;
const [TIMESTAMP, DATE, INT64] = [8, 8, 8];

/** A site's shape; events a user and events a session stay the same as it grows. */
const EVENTS_A_USER = 100;
const EVENTS_A_SESSION = 20;
const DAYS_A_USER = 5;

/** Least that a query is billed, a table. https://cloud.google.com/bigquery/pricing#on_demand_pricing */
const BILLED_MIN = 10 * 1_024 * 1_024;

export function bytes(report: Report): Promise<void> {
  for (const events of [1e6, 100e6]) {
    const ours = sum(rollupBytes(events));
    const floor = 2 * events * (ID + ID + INT64);
    const share = ours / floor;
    const row = { ours: `${fixed(ours / 1e6)} MB`, floor: `${fixed(floor / 1e6)} MB`, ratio: fixed(share) };
    const what = `BigQuery reads for a fresh daily report by formula, ${events / 1e6} M events`;
    report.add({ what, ...row, target: '≤ 0.05', pass: share <= 0.05 });
  }
  for (const events of [1e6, 100e6, 1_000e6]) {
    const read = dailyTableBytes();
    const billed = Math.max(read, BILLED_MIN);
    const floor = sum(rollupBytes(events).map((table) => Math.max(table, BILLED_MIN)));
    const row = { ours: megabytes(billed), floor: megabytes(floor), ratio: fixed(billed / floor) };
    const what = `BigQuery bills for a daily report from the table of days by formula (${megabytes(read)} read), ${events / 1e6} M events; floor: from the views`;
    report.add({ what, ...row, target: '10 MiB', pass: billed === BILLED_MIN });
  }
  return Promise.resolve();
}

function megabytes(value: number): string {
  return `${fixed(value / 1e6)} MB`;
}

/** Days of ten years, each with all its columns, and the row of the run; the same however many events there are. */
function dailyTableBytes(): number {
  const days = 3_660;
  const version = 2 + '36ea36f5949fea5c Europe/Helsinki'.length;
  return (days + 1) * (PROJECT + DATE + 4 * INT64 + TIMESTAMP + version);
}

/** Of each of the three materialized views, with all their columns, since their keys are needed to merge what is not merged yet. */
function rollupBytes(events: number): number[] {
  const users = events / EVENTS_A_USER;
  const sessions = events / EVENTS_A_SESSION;
  const userDays = users * DAYS_A_USER;
  return [
    users * (PROJECT + ID + TIMESTAMP),
    sessions * (PROJECT + ID + 2 * TIMESTAMP),
    userDays * (PROJECT + DATE + ID + INT64),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
