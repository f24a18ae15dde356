import { DEFAULT_PROJECT } from '../../src/access/keys.ts';
import { dailyReport, type DailyQuery } from '../../src/reports/daily.ts';
import { deadLettersReport } from '../../src/reports/dead-letters.ts';
import type { ReportSource } from '../../src/reports/source.ts';
import { EVENT_COLUMNS } from '../../src/warehouse/bigquery/columns.ts';
import {
  addColumns,
  createDailyTable,
  createDeadLettersTable,
  createEventsTable,
  createView,
  dropNotNull,
  grantOn,
} from '../../src/warehouse/bigquery/ddl.ts';
import { bigqueryDialect } from '../../src/warehouse/bigquery/dialect.ts';
import { dailyTableRows, rewriteDailyTable } from '../../src/warehouse/bigquery/daily-table.ts';
import { exportQuery } from '../../src/warehouse/bigquery/export.ts';
import type { BigqueryPlace } from '../../src/warehouse/bigquery/names.ts';
import { verifyDailyTable, verifyStatements } from '../../src/warehouse/bigquery/verify.ts';
import { versionView, viewDefinitions } from '../../src/warehouse/bigquery/views.ts';
import type { Statement } from '../../src/warehouse/contract.ts';

/** A statement with a title for the test's name. */
export interface Named extends Statement {
  readonly title: string;
}

const MEMBER = 'serviceAccount:writer@acme-web.iam.gserviceaccount.com';

/** Every statement that makes or changes something. */
export function definitions(place: BigqueryPlace, timezone: string): readonly Named[] {
  const views = [...viewDefinitions(place, timezone), versionView(place, timezone)];
  const named = (title: string, sql: string): Named => ({ title, sql, params: {} });
  return [
    named('the table of events', createEventsTable(place)),
    named('the table of dead letters', createDeadLettersTable(place)),
    named('the table of days', createDailyTable(place)),
    named('the scheduled query', rewriteDailyTable(place, timezone)),
    named('columns added to a table in use', addColumns(place, 'table', EVENT_COLUMNS.slice(9))),
    ...views.map((view) => named(`view ${view.name}`, createView(place, view))),
    named('rights on a table', grantOn({ place, name: 'table' }, 'roles/bigquery.dataEditor', MEMBER)),
    named('a column that may be absent', dropNotNull(place, 'table', 'page')),
  ];
}

const RANGES: readonly DailyQuery[] = [
  {},
  { from: '2024-01-01' },
  { to: '2024-01-31' },
  { from: '2024-01-01', to: '2024-01-31' },
];

/** Every statement that reads, as the reports and commands send it. */
export async function readings(place: BigqueryPlace, timezone: string): Promise<readonly Named[]> {
  const sent: Named[] = [];
  const source = (title: string): ReportSource => ({
    dialect: bigqueryDialect(place, timezone),
    project: DEFAULT_PROJECT,
    reportingTimezone: timezone,
    query: (statement) => {
      sent.push({ title, ...statement });
      return Promise.resolve([]);
    },
  });
  for (const range of RANGES) {
    const days = `${range.from ?? '…'} to ${range.to ?? '…'}`;
    await dailyReport(source(`daily, ${days}`), range, 0);
    await dailyReport(source(`fresh daily, ${days}`), { ...range, fresh: true }, 0);
    const elsewhere = { ...range, timezone: 'Asia/Kathmandu' };
    await dailyReport(source(`daily in another timezone, ${days}`), elsewhere, 0);
    sent.push({
      title: `export, ${days}`,
      ...exportQuery(place, timezone, { ...slice(range), format: 'ndjson', path: '' }),
    });
  }
  await deadLettersReport(source('dead letters'), 10);
  for (const [rollup, statement] of verifyStatements(place, timezone)) {
    sent.push({ title: `verify ${rollup}`, ...statement });
  }
  sent.push({ title: 'verify the table of days', ...verifyDailyTable(place, timezone, 1.7e15) });
  const age = `SELECT MAX(as_of) AS as_of FROM ${dailyTableRows(place, timezone)} AS kept`;
  sent.push({ title: 'the age of the table of days', sql: age, params: {} });
  return sent;
}

function slice({ from, to }: DailyQuery): { from?: string; to?: string } {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}
