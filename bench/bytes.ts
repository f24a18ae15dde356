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

export function bytes(report: Report): Promise<void> {
  for (const events of [1e6, 100e6]) {
    const ours = rollupBytes(events);
    const floor = 2 * events * (ID + ID + INT64);
    const share = ours / floor;
    const row = { ours: `${fixed(ours / 1e6)} MB`, floor: `${fixed(floor / 1e6)} MB`, ratio: fixed(share) };
    const what = `BigQuery reads for a daily report by formula, ${events / 1e6} M events`;
    report.add({ what, ...row, target: '≤ 0.05', pass: share <= 0.05 });
  }
  return Promise.resolve();
}

/** The three materialized views with all their columns, since their keys are needed to merge what is not merged yet. */
function rollupBytes(events: number): number {
  const users = events / EVENTS_A_USER;
  const sessions = events / EVENTS_A_SESSION;
  const userDays = users * DAYS_A_USER;
  return (
    users * (PROJECT + ID + TIMESTAMP) +
    sessions * (PROJECT + ID + 2 * TIMESTAMP) +
    userDays * (PROJECT + DATE + ID + INT64)
  );
}
