import { postForAWhile } from './client.ts';
import { median } from './report.ts';
import type { Server } from './servers.ts';

/** Connections that send at the same time. */
const CONNECTIONS = 64;

export interface Load {
  readonly path: string;
  /** Sent in turn. */
  readonly bodies: readonly string[];
  readonly rounds: number;
  readonly roundS: number;
}

export interface Figures {
  /** Median over the rounds. */
  readonly perSecond: number;
  readonly p99Ms: number;
}

export interface Comparison {
  readonly ours: Figures;
  readonly floor: Figures;
  /** Median of the rounds' ratios of ours to the floor's. */
  readonly ratio: number;
}

/** Short rounds in turn, so that whatever else the machine does meets both sides. The first of each warms up. */
export async function compare(ours: Server, floor: Server, load: Load): Promise<Comparison> {
  const rounds: { ours: Figures; floor: Figures }[] = [];
  for (const server of [ours, floor]) await round(server, { ...load, roundS: 2 });
  for (let index = 0; index < load.rounds; index += 1) {
    if (index % 2 === 0) {
      const first = await round(ours, load);
      rounds.push({ ours: first, floor: await round(floor, load) });
    } else {
      const first = await round(floor, load);
      rounds.push({ floor: first, ours: await round(ours, load) });
    }
  }
  const over = (side: 'ours' | 'floor'): Figures => ({
    perSecond: median(rounds.map((pair) => pair[side].perSecond)),
    p99Ms: median(rounds.map((pair) => pair[side].p99Ms)),
  });
  const ratio = median(rounds.map((pair) => pair.ours.perSecond / pair.floor.perSecond));
  return { ours: over('ours'), floor: over('floor'), ratio };
}

/** Sends for one round, on every connection as fast as answers come. */
export async function round(
  server: Server,
  { path, bodies, roundS }: Omit<Load, 'rounds'>,
): Promise<Figures> {
  const url = server.url + path;
  const { answers, failures, seconds, p99Ms } = await postForAWhile({
    url,
    connections: CONNECTIONS,
    durationMs: roundS * 1_000,
    bodies,
  });
  if (failures > 0) throw new Error(`${failures} of ${answers} requests failed on ${url}`);
  return { perSecond: answers / seconds, p99Ms: Number(p99Ms.toFixed(1)) };
}
