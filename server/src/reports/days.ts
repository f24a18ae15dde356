/** Calendar days as YYYY-MM-DD. A day is never 86,400 seconds here: arithmetic is on the calendar. */

export type DateFormat = 'iso' | 'mdy' | 'dmy';

const DAY_MS = 86_400_000;

/** Days from one to another; 0 when they are the same. */
export function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / DAY_MS;
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
}

const QUARTER_MS = 900_000;

/**
 * The quarter of an hour of a moment, UTC, as a timestamp is written. Each zone's day begins on one, so it stands for the
 * moment where only the day is asked; and a statement that holds it stays the same for its result to be kept.
 */
export function quarterHour(nowMs: number): string {
  return new Date(nowMs - (nowMs % QUARTER_MS)).toISOString().slice(0, 19).replace('T', ' ');
}

export function formatDay(day: string, format: DateFormat): string {
  const [year, month, date] = day.split('-');
  const written = { iso: day, mdy: `${month}/${date}/${year}`, dmy: `${date}/${month}/${year}` };
  return written[format];
}
