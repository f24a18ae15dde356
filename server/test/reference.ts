import type { Event } from '../src/event/event.ts';

/*
 * The four metrics, said as plainly as possible: what the documentation defines, over all events in memory. Slow, and
 * with none of the product's code, so that the two can disagree.
 */

export interface ReferenceDay {
  readonly date: string;
  readonly average_session_duration: number;
  readonly active_user_count: number;
  readonly new_user_count: number;
}

export interface ReferenceReport {
  readonly total_users: number;
  readonly daily_stats: readonly ReferenceDay[];
}

/** The report over all events, days as YYYY-MM-DD in the timezone, newest first. */
export function referenceReport(sent: readonly Event[], timezone: string): ReferenceReport {
  const events = withoutDuplicates(sent);
  const byUser = Map.groupBy(events, (event) => event.user_id);
  const bySession = Map.groupBy(events, (event) => event.session_id);
  const byDay = Map.groupBy(events, (event) => day(event.event_time, timezone));
  const firstDays = [...byUser.values()].map((list) => day(Math.min(...times(list)), timezone));
  const days = [...byDay.keys()].toSorted().toReversed();
  return {
    total_users: byUser.size,
    daily_stats: days.map((date) => {
      const started = [...bySession.values()].filter(
        (list) => day(Math.min(...times(list)), timezone) === date,
      );
      const lengths = started.map(
        (list) => micros(Math.max(...times(list))) - micros(Math.min(...times(list))),
      );
      return {
        date,
        average_session_duration: mean(lengths),
        active_user_count: new Set(byDay.get(date)?.map((event) => event.user_id)).size,
        new_user_count: firstDays.filter((first) => first === date).length,
      };
    }),
  };
}

/** The first of each event_id; events without one are all different. */
function withoutDuplicates(events: readonly Event[]): readonly Event[] {
  const seen = new Set<string>();
  return events.filter((event) => {
    if (event.event_id === undefined) return true;
    const isNew = !seen.has(event.event_id);
    seen.add(event.event_id);
    return isNew;
  });
}

function times(events: readonly Event[]): number[] {
  return events.map((event) => event.event_time);
}

function micros(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1e6));
}

/** Seconds to two decimals, halves up. */
function mean(lengths: readonly bigint[]): number {
  if (lengths.length === 0) return 0;
  const sum = lengths.reduce((total, length) => total + length, 0n);
  const unit = 10_000n * BigInt(lengths.length);
  const whole = sum / unit;
  return Number(2n * (sum - whole * unit) >= unit ? whole + 1n : whole) / 100;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The calendar day of a moment, YYYY-MM-DD. */
export function day(seconds: number, timezone: string): string {
  let format = formats.get(timezone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en', {
      timeZone: timezone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
    formats.set(timezone, format);
  }
  const parts = Object.fromEntries(
    format.formatToParts(seconds * 1_000).map(({ type, value }) => [type, value]),
  );
  return `${parts['year']}-${parts['month']}-${parts['day']}`;
}
