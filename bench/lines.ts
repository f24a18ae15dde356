import type { Event } from '../server/src/event/event.ts';
import { encodeLine, type EventLine } from '../server/src/event/line.ts';
import { randomUUIDv7 } from 'node:crypto';

export const DAY_S = 86_400;
const PAGES = ['/', '/pricing', '/docs', '/docs/install', '/blog/2026/one', '/account', '/cart', '/checkout'];
const COUNTRIES = ['FI', 'SE', 'DE', 'US', 'FR', 'JP', 'BR', 'IN'];
const NAMES = ['page_view', 'click', 'scroll', 'sign_up', 'purchase', 'search'];

/** Numbers that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface TrafficOptions {
  readonly events: number;
  readonly users: number;
  readonly days: number;
  /** Unix seconds of the first event. */
  readonly fromS: number;
  /** Whether each event brings an event_id of its own. */
  readonly givenIds: boolean;
}

/** Visits open at the same time; with 1 M events in 30 days a visit of 10 events then lasts about 11 minutes. */
const OPEN_SESSIONS = 25;

/** Events in time order, as a site sends them: sessions of about 10 events that run beside each other. */
export function* traffic({ events, users, days, fromS, givenIds }: TrafficOptions): Generator<Event> {
  const random = seeded(7);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  let sessions = 0;
  const start = () => ({
    session_id: `session-${(sessions += 1).toString(36).padStart(8, '0')}`,
    user_id: `user-${Math.floor(random() * users)}`,
    country: pick(COUNTRIES),
    left: 1 + Math.floor(random() * 19),
  });
  const open = Array.from({ length: OPEN_SESSIONS }, start);
  const stepS = (days * DAY_S) / events;
  for (let index = 0; index < events; index += 1) {
    const at = Math.floor(random() * OPEN_SESSIONS);
    const session = open[at]!;
    if ((session.left -= 1) <= 0) open[at] = start();
    yield {
      type: 'event',
      event_name: pick(NAMES),
      user_id: session.user_id,
      session_id: session.session_id,
      event_time: Math.round((fromS + index * stepS) * 1e3) / 1e3,
      page: pick(PAGES),
      country: session.country,
      properties: { plan: 'team', width: 1_280 + (index % 640), referrer: 'https://example.com/' },
      ...(givenIds ? { event_id: randomUUIDv7() } : {}),
    };
  }
}

/**
 * The lines that ingest would write for them. Each is copied, because V8 keeps a text that was put together as its parts
 * until it is first read: a million of them would keep the collector busy during the measurement.
 */
export function* trafficLines(options: TrafficOptions): Generator<EventLine> {
  const receipt = { project: 'default', receivedAtUs: Date.now() * 1_000, newEventId: () => randomUUIDv7() };
  for (const event of traffic(options)) yield Buffer.from(encodeLine(event, receipt)).toString();
}
