import { Problem } from '../http/problems.ts';
import { DAYS_MAX } from '../http/wire.ts';
import type { Row, Statement } from '../warehouse/contract.ts';
import type { Dialect } from '../warehouse/dialect.ts';
import { addDays, daysBetween, formatDay, quarterHour, type DateFormat } from './days.ts';
import type { ReportSource } from './source.ts';

export interface DailyQuery {
  /** YYYY-MM-DD, both included. Days without an event are listed when one of the two is given. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** IANA name; the reporting timezone where absent. */
  readonly timezone?: string | undefined;
  /** Default: mdy, 12/31/2025. */
  readonly date_format?: DateFormat | undefined;
  /** What has arrived until now, whatever that costs. */
  readonly fresh?: boolean | undefined;
}

export interface DailyReport {
  readonly total_users: number;
  /** Newest day first. */
  readonly daily_stats: readonly DailyStats[];
}

export interface DailyStats {
  readonly date: string;
  /** Seconds, rounded to 2 decimals. */
  readonly average_session_duration: number;
  readonly active_user_count: number;
  readonly new_user_count: number;
}

interface DayRow {
  readonly day: string;
  readonly active: number;
  readonly new: number;
  readonly sessions: number;
  readonly durationUs: bigint;
}

/** The daily report: what each number means stands in the documentation of the response. */
export async function dailyReport(
  source: ReportSource,
  query: DailyQuery,
  nowMs: number,
): Promise<DailyReport> {
  const timezone = query.timezone ?? source.reportingTimezone;
  const { project } = source;
  const rows = await rowsOf(source, { ...query, timezone, project, now: quarterHour(nowMs) });
  const days = rows.flatMap((row): DayRow[] => {
    if (row['day'] === null || row['day'] === undefined) return [];
    return [
      {
        day: String(row['day']),
        active: Number(row['active_users']),
        new: Number(row['new_users'] ?? 0),
        sessions: Number(row['sessions'] ?? 0),
        durationUs: BigInt((row['session_duration_us'] as number | bigint | null) ?? 0),
      },
    ];
  });
  const format = query.date_format ?? 'mdy';
  return {
    total_users: totalUsers(rows),
    daily_stats: withEmptyDays(days, query, rows[0]?.['today']).map((day) => ({
      date: formatDay(day.day, format),
      average_session_duration: averageSeconds(day.durationUs, day.sessions),
      active_user_count: day.active,
      new_user_count: day.new,
    })),
  };
}

/** From the small table, where there is one and it was ever made; else from the rollups. */
async function rowsOf(source: ReportSource, select: DailySelect): Promise<readonly Row[]> {
  const { dialect, reportingTimezone } = source;
  if (select.timezone !== reportingTimezone) return source.query(fromRows(dialect, select));
  if (dialect.dailyTable !== undefined && select.fresh !== true) {
    const rows = await source.query(fromTable(dialect, select, dialect.dailyTable));
    if (typeof rows[0]?.['as_of_us'] === 'number') return rows;
  }
  return source.query(fromRollups(dialect, select));
}

/** Each user is new on one day, in the range or not. */
function totalUsers(rows: readonly Row[]): number {
  const total = rows[0]?.['total_users'];
  if (total !== undefined) return Number(total);
  return rows.reduce((sum, row) => sum + Number(row['new_users'] ?? 0), 0);
}

interface DailySelect extends DailyQuery {
  readonly timezone: string;
  readonly project: string;
  /** UTC, as a timestamp is written. */
  readonly now: string;
}

/**
 * A column with the present day, where the range ends with it: cut by the warehouse, which cuts the days of the events, so
 * that an answer has one source of timezones.
 */
function todayColumn(dialect: Dialect, select: DailySelect): string {
  if (!endsToday(select)) return '';
  return `, ${dialect.localDay(`CAST(${dialect.param('now')} AS TIMESTAMP)`, 'timezone')} AS today`;
}

function todayParams(select: DailySelect): Record<string, string> {
  return endsToday(select) ? { now: select.now, timezone: select.timezone } : {};
}

/** With neither end, only days with an event are listed; with the first alone, the days run to the last event's or today. */
function endsToday({ from, to }: DailyQuery): boolean {
  return from !== undefined && to === undefined;
}

/** Conditions that keep a DATE expression inside the range, as far as the range has ends. */
function inRange(dialect: Dialect, day: string, { from, to }: DailyQuery): string {
  const lower = from === undefined ? '' : ` AND ${day} >= ${dialect.dateParam('from')}`;
  const upper = to === undefined ? '' : ` AND ${day} <= ${dialect.dateParam('to')}`;
  return lower + upper;
}

function rangeParams({ from, to }: DailyQuery): Record<string, string> {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

const SUMS = ['active_users', 'new_users', 'sessions', 'session_duration_us']
  .map((column) => `CAST(sum(${column}) AS INT64) AS ${column}`)
  .join(', ');

/** The reporting timezone: one row a day is read, whatever is stored, and each once. */
function fromRollups(dialect: Dialect, select: DailySelect): Statement {
  const from = `${SUMS} FROM ${dialect.table('daily')} WHERE project = ${dialect.param('project')}`;
  return { report: 'daily', ...ofDays(dialect, select, from) };
}

/** The same out of the small table; the moment that it is of comes along. */
function fromTable(dialect: Dialect, select: DailySelect, table: string): Statement {
  const asOf = `${dialect.unixMicroseconds('max(as_of)')} AS as_of_us`;
  const mine = `(project = ${dialect.param('project')} OR project IS NULL)`;
  const from = `${SUMS}, ${asOf} FROM ${table} AS kept WHERE ${mine}`;
  return { report: 'daily_table', mayBeMissing: true, ...ofDays(dialect, select, from) };
}

/** Days outside the range become one row without a day, because all days together make the total. */
function ofDays(dialect: Dialect, select: DailySelect, from: string): Statement {
  const days = `SELECT CASE WHEN true${inRange(dialect, 'day', select)} THEN day END AS day, ${from} GROUP BY 1`;
  return {
    weight: 'rollup',
    sql: endsToday(select)
      ? // The row on the left says what day it is also where nothing is stored.
        `SELECT days.*${todayColumn(dialect, select)} FROM (SELECT 1 AS one) AS one LEFT JOIN (\n${days}\n) AS days ON true ORDER BY day DESC`
      : `${days} ORDER BY 1 DESC`,
    params: { project: select.project, ...rangeParams(select), ...todayParams(select) },
  };
}

/** Any other timezone: the same definitions, from users, sessions and events. */
function fromRows(dialect: Dialect, select: DailySelect): Statement {
  const project = dialect.param('project');
  const byDay = (column: string) => dialect.localDay(column, 'timezone');
  const around = dialect.aroundDays({ from: select.from !== undefined, to: select.to !== undefined });
  const where = (column: string) => `project = ${project}${inRange(dialect, byDay(column), select)}`;
  const duration = dialect.microsecondsBetween('started_at', 'ended_at');
  const [rows, users, sessions] = (['event_rows', 'users', 'sessions'] as const).map((name) =>
    dialect.table(name),
  );
  return {
    report: 'daily_from_rows',
    weight: 'rows',
    sql: `
WITH totals AS (SELECT count(*) AS total_users FROM ${users} WHERE project = ${project}),
active AS (
  SELECT ${byDay('event_time')} AS day, count(DISTINCT user_id) AS active_users FROM ${rows}
  WHERE ${where('event_time')} AND ${around} GROUP BY 1
),
fresh AS (
  SELECT ${byDay('first_seen_at')} AS day, count(*) AS new_users FROM ${users}
  WHERE ${where('first_seen_at')} GROUP BY 1
),
started AS (
  SELECT ${byDay('started_at')} AS day, count(*) AS sessions,
    CAST(sum(${duration}) AS INT64) AS session_duration_us
  FROM ${sessions} WHERE ${where('started_at')} GROUP BY 1
),
days AS (
  SELECT active.day AS day, active_users, new_users, sessions, session_duration_us
  FROM active LEFT JOIN fresh ON fresh.day = active.day LEFT JOIN started ON started.day = active.day
)
SELECT total_users, day, active_users, new_users, sessions, session_duration_us${todayColumn(dialect, select)}
FROM totals LEFT JOIN days ON true ORDER BY day DESC`,
    params: {
      project: select.project,
      timezone: select.timezone,
      ...rangeParams(select),
      ...todayParams(select),
    },
  };
}

/**
 * Adds the days of the range that have no event. Without `to` the range ends today (or at the newest event, if
 * that is later), without `from` it begins with the oldest event.
 */
function withEmptyDays(
  rows: readonly DayRow[],
  query: DailyQuery,
  today: Row[string] | undefined,
): readonly DayRow[] {
  if (query.from === undefined && query.to === undefined) return rows;
  const to = query.to ?? later(rows[0]?.day, String(today));
  const from = query.from ?? rows.at(-1)?.day ?? to;
  const count = daysBetween(from, to) + 1;
  if (count > DAYS_MAX) {
    throw new Problem('invalid-query', `the range has ${count} days; allowed are ${DAYS_MAX}`);
  }
  const byDay = new Map(rows.map((row) => [row.day, row]));
  const days: DayRow[] = [];
  for (let index = count - 1; index >= 0; index -= 1) {
    const day = addDays(from, index);
    days.push(byDay.get(day) ?? { day, active: 0, new: 0, sessions: 0, durationUs: 0n });
  }
  return days;
}

function later(day: string | undefined, other: string): string {
  return day !== undefined && day > other ? day : other;
}

/** Mean of whole microseconds in seconds, rounded to 2 decimals, halves up; exact, without floating point. */
function averageSeconds(durationUs: bigint, sessions: number): number {
  if (sessions === 0) return 0;
  const parts = BigInt(sessions) * 10_000n;
  return Number((2n * durationUs + parts) / (2n * parts)) / 100;
}
