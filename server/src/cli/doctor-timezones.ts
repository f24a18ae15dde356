import type { Row, Statement } from '../warehouse/contract.ts';
import { timezoneOffsets } from '../warehouse/duckdb/timezones.ts';

const DAY_MS = 86_400_000;

/** A timezone whose days two sources cut otherwise, and the first week in which they do. */
interface Difference {
  readonly name: string;
  readonly since: string;
}

/** What a check found; see `doctor.ts`. */
interface Finding {
  readonly good: boolean;
  readonly text: string;
  readonly help?: string;
}

/** Compares the warehouse's timezones, which cut the days, with those of this Node, from a year ago to a year ahead. */
export async function checkTimezones(
  query: (statement: Statement) => Promise<readonly Row[]>,
  reportingTimezone: string,
  nowMs: number,
): Promise<Finding[]> {
  const first = nowMs - (nowMs % DAY_MS) - 364 * DAY_MS;
  const days = [first, first + 728 * DAY_MS].map((ms) => new Date(ms).toISOString().slice(0, 10));
  const rows = await query(timezoneOffsets(days[0]!, days[1]!));
  const offsets = new Map(
    rows.map((row) => [String(row['name']), String(row['offsets']).split(' ').map(Number)]),
  );
  const names = [...new Set([...Intl.supportedValuesOf('timeZone'), reportingTimezone])];
  const differences = names.flatMap((name) => difference(name, offsets.get(name), first));
  return findings(differences, names.length, reportingTimezone);
}

/** Nothing where both say the same; a name that the warehouse writes otherwise is not compared. */
function difference(name: string, offsets: readonly number[] | undefined, firstMs: number): Difference[] {
  const format = new Intl.DateTimeFormat('en', { timeZone: name, timeZoneName: 'longOffset' });
  const index = (offsets ?? []).findIndex((seconds, week) => {
    const noonMs = firstMs + (week * 7 + 0.5) * DAY_MS;
    return seconds !== offsetSeconds(format, noonMs);
  });
  if (index < 0) return [];
  return [{ name, since: new Date(firstMs + index * 7 * DAY_MS).toISOString().slice(0, 10) }];
}

/** From "GMT", "GMT+05:45" or "GMT-00:44:30". */
function offsetSeconds(format: Intl.DateTimeFormat, ms: number): number {
  const text = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign, hours = '0', minutes = '0', seconds = '0'] =
    /^GMT(?:([+-])(\d+):(\d+)(?::(\d+))?)?$/.exec(text) ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds));
}

function findings(differences: readonly Difference[], count: number, reportingTimezone: string): Finding[] {
  const source = `Node's timezone data (${process.versions.tz})`;
  if (differences.length === 0)
    return [{ good: true, text: `the warehouse and ${source} agree in all ${count} timezones` }];
  const listed = differences.map(({ name, since }) => `${name} (the week of ${since})`).join(', ');
  const text = `the warehouse and ${source} differ in ${differences.length} of ${count} timezones: ${listed}`;
  if (differences.some(({ name }) => name === reportingTimezone))
    return [
      {
        good: false,
        text: `${text}; days of ${reportingTimezone} begin at another hour from then on`,
        help: HELP,
      },
    ];
  return [
    { good: true, text: `${text}; not in ${reportingTimezone}. Where reports ask for one of them, ${HELP}` },
  ];
}

const HELP =
  'the older of the two is wrong: start a newer Daybook, which brings newer data for both and makes the rollups anew; where ' +
  'ICU_TIMEZONE_FILES_DIR is set, put newer files there';
