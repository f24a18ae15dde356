export type WarehouseTable =
  'event_rows' | 'events' | 'users' | 'sessions' | 'user_days' | 'daily' | 'dead_letters';

/**
 * What differs between the engines' SQL, as far as reports need it. Everything else in a report is
 * standard SQL and written once. Every engine has these tables or views, with these columns:
 *
 * - `event_rows` (project, event_id, received_at, event_time, event_name, user_id, session_id, page, country,
 *   region, city, properties): events as they were delivered; where the transport delivers at least once, one may
 *   stand twice, which minima, maxima and distinct users do not mind
 * - `events`, the same columns: every event once
 * - `users` (project, user_id, first_seen_at)
 * - `sessions` (project, session_id, started_at, ended_at)
 * - `user_days` (project, day, user_id), days in the reporting timezone
 * - `daily` (project, day, active_users, new_users, sessions, session_duration_us)
 * - `dead_letters` (died_at, reason, detail, body)
 */
export interface Dialect {
  /** One of the tables above as it stands in the text. */
  table(name: WarehouseTable): string;
  /**
   * Where reading `daily` costs what is stored: the same rows as of a moment, with it in a column `as_of`. A row without project and
   * day says the moment alone. No row where that was never made; a statement that reads it says `mayBeMissing`.
   */
  readonly dailyTable?: string;
  /** A named parameter as it stands in the text. */
  param(name: string): string;
  /** The calendar day of a UTC timestamp column in the timezone that the named parameter holds. */
  localDay(column: string, timezoneParam: string): string;
  /**
   * A condition on `event_rows` that holds for every event of the days from the parameter `from` to the parameter `to`,
   * whatever the timezone, and lets the engine pass over the rest: half a day and more on either side.
   */
  aroundDays(ends: { readonly from: boolean; readonly to: boolean }): string;
  /** A DATE from a named parameter that holds YYYY-MM-DD. */
  dateParam(name: string): string;
  /** Whole microseconds from one timestamp to another, as an integer. */
  microsecondsBetween(from: string, to: string): string;
  /** A timestamp as whole unix microseconds. */
  unixMicroseconds(column: string): string;
}
