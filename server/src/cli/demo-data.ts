import type { Event } from '../event/event.ts';

export interface DemoOptions {
  readonly days: number;
  readonly events: number;
  readonly seed: number;
}

const PAGES = [
  '/',
  '/pricing',
  '/docs',
  '/docs/install',
  '/blog',
  '/blog/exact-numbers',
  '/signup',
  '/changelog',
];
const PLACES = [
  ['FI', 'Uusimaa', 'Helsinki'],
  ['DE', 'Berlin', 'Berlin'],
  ['US', 'California', 'San Francisco'],
  ['US', 'New York', 'New York'],
  ['IN', 'Karnataka', 'Bengaluru'],
  ['BR', 'São Paulo', 'São Paulo'],
] as const;
const DAY_S = 86_400;
/** How much happens from Monday to Sunday, and from midnight on in steps of two hours. */
const WEEK = [1, 1.1, 1.1, 1.05, 0.95, 0.5, 0.45];
const HOURS = [1, 1, 1, 2, 5, 9, 8, 9, 8, 6, 5, 3];

/** A small generator of numbers from 0 to 1 (mulberry32): the same seed gives the same numbers. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Believable events of a small site that grows: days of the week and hours of the day differ, most users come back,
 * sessions have several pages. Oldest first by session; ends before `nowS`, unix seconds.
 */
export function* demoEvents({ days, events, seed }: DemoOptions, nowS: number): Generator<Event> {
  const random = seeded(seed);
  const startS = (Math.floor(nowS / DAY_S) - days + 1) * DAY_S;
  const weights = Array.from({ length: days }, (_, day) => dayWeight(startS + day * DAY_S, day / days));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  let users = 20;
  let made = 0;
  for (const [day, weight] of weights.entries()) {
    const until = made + Math.round((events * weight) / sum);
    while (made < until) {
      const user = random() < 0.25 ? (users += 1) : 1 + Math.floor(users * (1 - random() ** 2));
      const atS = startS + day * DAY_S + secondOfDay(random);
      const visit = [...session({ user, atS, random, id: `${seed}-${made}` })];
      made += visit.length;
      yield* visit.filter((event) => event.event_time < nowS);
    }
  }
}

function dayWeight(timeS: number, progress: number): number {
  const weekday = (new Date(timeS * 1_000).getUTCDay() + 6) % 7;
  return (WEEK[weekday] ?? 1) * (0.4 + progress);
}

function secondOfDay(random: () => number): number {
  let left = random() * HOURS.reduce((total, weight) => total + weight, 0);
  let slot = 0;
  while (left > (HOURS[slot] ?? 0) && slot < HOURS.length - 1) {
    left -= HOURS[slot] ?? 0;
    slot += 1;
  }
  return (slot + random()) * 2 * 3_600;
}

interface SessionSeed {
  readonly user: number;
  readonly atS: number;
  readonly id: string;
  readonly random: () => number;
}

function* session({ user, atS, id, random }: SessionSeed): Generator<Event> {
  const [country, region, city] = PLACES[user % PLACES.length] ?? PLACES[0];
  const length = 1 + Math.floor(random() ** 2 * 9);
  let timeS = atS;
  for (let index = 0; index < length; index += 1) {
    const page = PAGES[Math.floor(random() * PAGES.length)] ?? '/';
    yield {
      type: 'event',
      event_name: page === '/signup' && random() < 0.3 ? 'signup' : 'page_view',
      user_id: `user-${user}`,
      session_id: `session-${id}`,
      event_time: Math.round(timeS * 1_000) / 1_000,
      page,
      country,
      region,
      city,
    };
    timeS += 5 + random() * 90;
  }
}
