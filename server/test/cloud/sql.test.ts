import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PROJECT } from '../../src/access/keys.ts';
import { dailyReport, type DailyQuery } from '../../src/reports/daily.ts';
import { encodeMessage } from '../../src/transport/pubsub/message.ts';
import { DEAD_LETTER_COLUMNS, EVENT_COLUMNS, type Column } from '../../src/warehouse/bigquery/columns.ts';
import { DAILY_TABLE_COLUMNS, rewriteDailyTable } from '../../src/warehouse/bigquery/daily-table.ts';
import { bigqueryDialect } from '../../src/warehouse/bigquery/dialect.ts';
import { tableId, type BigqueryTableName } from '../../src/warehouse/bigquery/names.ts';
import { viewDefinitions } from '../../src/warehouse/bigquery/views.ts';
import { linesOf } from '../../src/warehouse/conformance.ts';
import type { Row, Statement } from '../../src/warehouse/contract.ts';
import { world } from '../fixtures/world.ts';
import { referenceReport } from '../reference.ts';
import { describeWith } from './engines/engines.ts';
import {
  startGooglesql,
  type Catalog,
  type Googlesql,
  type SqlType,
  type SqlValue,
  type Tables,
} from './engines/googlesql/googlesql.ts';
import { definitions, readings } from './statements.ts';

/* Every statement that the product sends, resolved by Google's own GoogleSQL engine, and the daily report evaluated by it. */

const PLACE = { projectId: 'acme-web', dataset: 'daybook', table: 'events' };
const nameOf = (name: BigqueryTableName) => `${PLACE.projectId}.${PLACE.dataset}.${tableId(PLACE, name)}`;
const typesOf = (columns: readonly Column[]) =>
  Object.fromEntries(columns.map(({ name, type }): [string, SqlType] => [name, type]));

const EVENT_TYPES = {
  event_id: 'STRING',
  project: 'STRING',
  received_at: 'TIMESTAMP',
  event_time: 'TIMESTAMP',
  event_seconds: 'INT64',
  event_name: 'STRING',
  user_id: 'STRING',
  session_id: 'STRING',
  page: 'STRING',
  country: 'STRING',
  region: 'STRING',
  city: 'STRING',
  properties: 'JSON',
} as const;

/** Every table and view with its columns; what the engine makes of each definition is held against it. */
const TYPES: Readonly<Record<BigqueryTableName, Readonly<Record<string, SqlType>>>> = {
  table: typesOf(EVENT_COLUMNS),
  dead_letters_raw: typesOf(DEAD_LETTER_COLUMNS),
  users: { project: 'STRING', user_id: 'STRING', first_seen_at: 'TIMESTAMP' },
  sessions: { project: 'STRING', session_id: 'STRING', started_at: 'TIMESTAMP', ended_at: 'TIMESTAMP' },
  user_days: { project: 'STRING', day: 'DATE', user_id: 'STRING', deliveries: 'INT64' },
  daily: {
    project: 'STRING',
    day: 'DATE',
    active_users: 'INT64',
    new_users: 'INT64',
    sessions: 'INT64',
    session_duration_us: 'INT64',
  },
  daily_table: typesOf(DAILY_TABLE_COLUMNS),
  event_rows: EVENT_TYPES,
  events: EVENT_TYPES,
  dead_letters: { died_at: 'TIMESTAMP', reason: 'STRING', detail: 'STRING', body: 'STRING' },
  version: { view_name: 'STRING', version: 'STRING' },
};

const CATALOG: Catalog = Object.fromEntries(
  Object.entries(TYPES).map(([name, types]) => [nameOf(name as BigqueryTableName), types]),
);

describeWith(['googlesql'], 'GoogleSQL', () => {
  let engine: Googlesql;
  beforeAll(async () => {
    engine = await startGooglesql();
  });
  afterAll(() => engine.stop());

  describe('takes every definition', () => {
    it.each(definitions(PLACE, 'Asia/Kathmandu'))('$title', async ({ sql }) => {
      expect((await engine.analyze(sql, CATALOG)).kind).not.toBe('resolvedQueryStmtNode');
    });

    it.each(viewDefinitions(PLACE, 'UTC'))(
      'view $name has the columns that reports read',
      async ({ name, sql }) => {
        expect((await engine.analyze(sql, CATALOG)).columns).toEqual(Object.keys(TYPES[name]));
      },
    );
  });

  describe('takes every query', async () => {
    it.each(await readings(PLACE, 'UTC'))('$title', async ({ sql, params }) => {
      expect((await engine.analyze(sql, CATALOG, parameterTypes(params))).kind).toBe('resolvedQueryStmtNode');
    });
  });

  it('refuses a statement with a fault, so that the tests above mean something', async () => {
    await expect(engine.analyze(`SELECT nope FROM \`${nameOf('daily')}\``, CATALOG)).rejects.toThrow(/nope/);
  });

  it('gives the numbers of the naive reference, whatever comes twice, late, out of order, in any timezone', async () => {
    await fc.assert(
      fc.asyncProperty(world, async ({ batches, timezone, asked }) => {
        // Every event is delivered as it was sent, and every other one again with the same event_id.
        const lines = batches.flatMap((batch) => linesOf(batch));
        const delivered = [...lines, ...lines.filter((_, index) => index % 2 === 0)];
        const tables = await evaluateViews(engine, delivered, timezone);
        const sent = batches.flat();
        for (const query of [{}, { fresh: true }, { timezone: asked }]) {
          const report = await evaluateReport(engine, tables, timezone, query);
          expect(report).toEqual(referenceReport(sent, 'timezone' in query ? query.timezone : timezone));
        }
        // Each day by itself, so that what a range passes over is never a part of it.
        for (const stats of referenceReport(sent, asked).daily_stats) {
          const oneDay = { timezone: asked, from: stats.date, to: stats.date };
          const report = await evaluateReport(engine, tables, timezone, oneDay);
          expect(report.daily_stats).toEqual([stats]);
        }
        const { total_users, daily_stats } = referenceReport(sent, timezone);
        for (const stats of daily_stats) {
          const oneDay = { from: stats.date, to: stats.date };
          const report = await evaluateReport(engine, tables, timezone, oneDay);
          expect(report).toEqual({ total_users, daily_stats: [stats] });
        }
      }),
      { numRuns: 100 },
    );
  });
});

function parameterTypes(params: Statement['params']): Record<string, SqlType> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, typeof value === 'number' ? 'INT64' : 'STRING']),
  );
}

/** What the subscription would have written, and every view over it, each evaluated from those before it. */
async function evaluateViews(engine: Googlesql, lines: readonly string[], timezone: string): Promise<Tables> {
  const rows = lines.map((line) => JSON.parse(encodeMessage(line).toString()) as Record<string, SqlValue>);
  let tables: Tables = { [nameOf('table')]: { columns: TYPES.table, rows } };
  for (const { name, sql } of viewDefinitions(PLACE, timezone)) {
    if (name === 'dead_letters') continue;
    const made = await engine.evaluate(sql, {}, tables);
    tables = { ...tables, [nameOf(name)]: { columns: TYPES[name], rows: made } };
  }
  // Of a MERGE the engine evaluates no more than what it inserts.
  const [, made] = /USING \(([^]*)\) AS made\nON FALSE/.exec(rewriteDailyTable(PLACE, timezone))!;
  const columns = TYPES.daily_table;
  const old = { ...(await engine.evaluate(made!, {}, tables))[0], version: 'another', active_users: 1000 };
  const run = await engine.evaluate(made!, {}, tables);
  tables = { ...tables, [nameOf('daily_table')]: { columns, rows: [...run, old] as typeof run } };
  return tables;
}

function evaluateReport(engine: Googlesql, tables: Tables, reportingTimezone: string, query: DailyQuery) {
  const source = {
    dialect: bigqueryDialect(PLACE, reportingTimezone),
    project: DEFAULT_PROJECT,
    reportingTimezone,
    query: async ({ sql, params, report }: Statement) => {
      // Never from the views where it was to come from the table.
      if (query.fresh !== true) expect(report).not.toBe('daily');
      const types = parameterTypes(params);
      const given = Object.entries(params).map(
        ([name, value]) => [name, { type: types[name]!, value }] as const,
      );
      return (await engine.evaluate(sql, Object.fromEntries(given), tables)) as readonly Row[];
    },
  };
  return dailyReport(source, { ...query, date_format: 'iso' }, 0);
}
