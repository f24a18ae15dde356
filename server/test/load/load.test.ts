import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { killServers } from '../e2e/server-process.ts';
import { isGood, KEY, RECOVERY_MS, type Result, runScenario, type ScenarioOptions } from './scenario.ts';

/*
 * No small request takes the server down: attacks that cost their sender little, against a server of its own each, while
 * an honest client posts 100 events a second. Loopback only; every attack ends by itself.
 */

const MIB = 1_024 * 1_024;
const PEAK_BYTES_MAX = 768 * MIB;

const rows: string[][] = [];

afterEach(killServers);
afterAll(() => {
  const all = [['attack', 'idle p50/p99', 'attack p50/p99', 'peak', 'recovery', 'attacker heard'], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  for (const row of all) console.log(row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
});

async function run(name: string, options: ScenarioOptions): Promise<Result> {
  const result = await runScenario(options);
  const { idle, attack, peakBytes, recoveryMs, outcomes } = result;
  rows.push([
    name,
    `${idle.p50Ms.toFixed(1)}/${idle.p99Ms.toFixed(1)} ms`,
    `${attack.p50Ms.toFixed(1)}/${attack.p99Ms.toFixed(1)} ms`,
    `${Math.round(peakBytes / MIB)} MiB`,
    `${(recoveryMs / 1_000).toFixed(1)} s`,
    JSON.stringify(outcomes),
  ]);
  return result;
}

function expectGood({ idle, attack, peakBytes, recoveryMs }: Result): void {
  expect.soft(isGood(attack, idle), `p50 ${attack.p50Ms} ms, p99 ${attack.p99Ms} ms`).toBe(true);
  expect.soft(peakBytes).toBeLessThanOrEqual(PEAK_BYTES_MAX);
  expect.soft(recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
}

/** Attack → the statuses that its sender may hear; `none`: it ended before it was answered. */
const ATTACKS: readonly (readonly [attack: string, heard: readonly string[]])[] = [
  ['unrouted', ['404', 'none']],
  ['wrong-method', ['405', 'none']],
  // 400 where the attacker ends its request before its body has.
  ['slow', ['503', '408', '400', 'none']],
  ['bombs', ['413', '503', 'none']],
  ['deep', ['400', '503', 'none']],
  ['large', ['200', '503', 'none']],
  ['keyless', ['401', 'none']],
];

// Whatever else the machine does makes times longer, never shorter: what is bad is measured once more.
describe('an attack', { retry: 1 }, () => {
  it.each(ATTACKS)('by %s leaves honest posts alone', async (attack, heard) => {
    const result = await run(attack, { attack });
    expectGood(result);
    expect.soft(result.attack.failures).toEqual({});
    expect(Object.keys(result.outcomes).filter((one) => !heard.includes(one))).toEqual([]);
  });

  it('by full: what is refused costs no parsing, and events are taken again at once', async () => {
    const result = await run('full', {
      attack: 'full',
      env: { DAYBOOK_JOURNAL_BYTES_MAX: String(8 * MIB) },
    });
    expectGood(result);
    // Honest events are refused too while the journal is full; nothing else may happen to them.
    expect(Object.keys(result.attack.failures).filter((status) => status !== '503')).toEqual([]);
    expect(Object.keys(result.outcomes).filter((one) => !['200', '503', 'none'].includes(one))).toEqual([]);
  });

  it('by reports leaves honest posts and default reports alone', async () => {
    const daily: number[] = [];
    const result = await run('reports', {
      attack: 'reports',
      prepare: fill,
      env: { DAYBOOK_READ_KEYS: KEY },
      beside: async (url, forMs) => {
        const untilMs = performance.now() + forMs;
        while (performance.now() < untilMs) daily.push(await defaultReport(url));
      },
    });
    expectGood(result);
    expect.soft(result.attack.failures).toEqual({});
    expect(daily.length).toBeGreaterThan(1);
    expect(daily.filter((status) => status !== 200)).toEqual([]);
  });
});

/** Enough events over enough days that a report in a foreign timezone costs something. */
async function fill(url: string): Promise<void> {
  const nowS = Math.floor(Date.now() / 1_000);
  for (let n = 0; n < 30; n += 1) {
    const events = Array.from({ length: 10_000 }, (_, i) => ({
      type: 'event',
      event_name: 'e',
      user_id: `u-${(i * 7) % 50_000}`,
      session_id: `s-${n}-${i}`,
      event_time: nowS - ((i * 31 + n * 7) % (300 * 86_400)),
    }));
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/analytics/events`, {
      method: 'POST',
      headers,
      body: JSON.stringify(events),
    });
    expect(answer.status).toBe(200);
  }
}

async function defaultReport(url: string): Promise<number> {
  const headers = { authorization: `Bearer ${KEY}` };
  const answer = await fetch(`${url}/analytics/daily`, {
    headers,
    signal: AbortSignal.timeout(10_000),
  }).catch(() => undefined);
  await answer?.text();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return answer?.status ?? 0;
}
