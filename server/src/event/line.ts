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

/** Writes an event as the line that is stored. `event_id_given` tells warehouses whose id may have come before. */
export function encodeLine(event: Event, receipt: Receipt): EventLine {
  const given = event.event_id !== undefined;
  return JSON.stringify({
    event_id: given ? event.event_id : receipt.newEventId(),
    event_id_given: given,
    project: receipt.project,
    received_at: receipt.receivedAtUs,
    event_time: microseconds(event.event_time),
    event_name: event.event_name,
    user_id: event.user_id,
    session_id: event.session_id,
    page: event.page,
    country: event.country,
    region: event.region,
    city: event.city,
    properties: event.properties,
  });
}
