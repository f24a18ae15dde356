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

/** The calendar day in a timezone at a moment. */
export function today(timezone: string, nowMs: number): string {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: timezone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  return format.format(nowMs);
}

export function formatDay(day: string, format: DateFormat): string {
  const [year, month, date] = day.split('-');
  const written = { iso: day, mdy: `${month}/${date}/${year}`, dmy: `${date}/${month}/${year}` };
  return written[format];
}
