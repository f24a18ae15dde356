import type { Event } from './event.ts';

/**
 * A stored event: one JSON object on one line, without the newline. This is what transports carry and
 * warehouses load. Times are unix **microseconds** as integers, so that sums and differences are exact.
 * Keys: event_id, event_id_given, project, received_at, event_time, event_name, user_id, session_id, and,
 * where present, page, country, region, city, properties. Absent keys mean NULL.
 */
export type EventLine = string;

/** Seconds as sent → whole microseconds, rounded to the nearest. Exact for every time up to the year 2255. */
export function microseconds(seconds: number): number {
  return Math.round(seconds * 1e6);
}

/** What the server adds to an event when it takes it in. */
export interface Receipt {
  readonly project: string;
  /** Unix microseconds. */
  readonly receivedAtUs: number;
  /** Makes the event_id of an event that has none; must be unique for ever, e.g. a UUIDv7. */
  readonly newEventId: () => string;
}

/** What JSON must escape in a string; a string without them stands between quotes as it is. */
// oxlint-disable-next-line no-control-regex -- those are what JSON must escape
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

function quote(text: string, escaped: boolean): string {
  return escaped && ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/**
 * Writes an event as the line that is stored. `event_id_given` tells warehouses whose id may have come before. The
 * text is that of `JSON.stringify`, put together by hand in half the time. `escaped` says that the JSON text of the event
 * held an escape; where it held none, its strings need none.
 */
export function encodeLine(event: Event, receipt: Receipt, escaped = true): EventLine {
  const id = event.event_id;
  const head =
    id === undefined
      ? `${quote(receipt.newEventId(), true)},"event_id_given":false`
      : `${quote(id, escaped)},"event_id_given":true`;
  let line =
    `{"event_id":${head},"project":${quote(receipt.project, true)},"received_at":${receipt.receivedAtUs},` +
    `"event_time":${microseconds(event.event_time)},"event_name":${quote(event.event_name, escaped)},` +
    `"user_id":${quote(event.user_id, escaped)},"session_id":${quote(event.session_id, escaped)}`;
  if (event.page !== undefined) line += `,"page":${quote(event.page, escaped)}`;
  if (event.country !== undefined) line += `,"country":${quote(event.country, escaped)}`;
  if (event.region !== undefined) line += `,"region":${quote(event.region, escaped)}`;
  if (event.city !== undefined) line += `,"city":${quote(event.city, escaped)}`;
  if (event.properties !== undefined) line += `,"properties":${JSON.stringify(event.properties)}`;
  return `${line}}`;
}
