import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '../e2e/server-process.ts';
import { temporaryDirectory } from '../faults/stored.ts';

export const KEY = 'write-key-of-the-load-test';
const READ_KEY = 'read-key-of-the-load-tests';

/** How long an attack lasts; LOAD_SECONDS makes it longer. */
const ATTACK_MS = Number(process.env['LOAD_SECONDS'] ?? 3) * 1_000;
const IDLE_MS = Math.min(10_000, ATTACK_MS * 0.75);

/** How long after an attack everything must be as before, and what is looked at each time. */
export const RECOVERY_MS = 5_000;
const WINDOW_MS = 500;

/**
 * What is always good enough, in milliseconds: on two cores the attacker, the server and the honest client wait for each
 * other, and an idle server answers in one or two.
 */
const P50_MS = 20;
const P99_MS = 100;

/** Widens the limits on times where other work shares the machine, for example in CI: LOAD_SLACK=5. */
const SLACK = Number(process.env['LOAD_SLACK'] ?? 1);

export interface Times {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly count: number;
  /** Answers other than 200, by status; 0 is no answer. */
  readonly failures: Readonly<Record<string, number>>;
}

export interface Result {
  readonly idle: Times;
  readonly attack: Times;
  /** From the end of the attack to the first window that was as when idle; infinite where none came in time. */
  readonly recoveryMs: number;
  readonly peakBytes: number;
  /** What the attacker heard, by status. */
  readonly outcomes: Readonly<Record<string, number>>;
}

export interface ScenarioOptions {
  readonly attack: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Makes the server ready for the attack. */
  readonly prepare?: (url: string, directory: string) => Promise<void>;
  /** Runs beside the attack for so many milliseconds. */
  readonly beside?: (url: string, forMs: number) => Promise<void>;
}

/** A server of its own, the honest client on it, and in the middle of it the attack. */
export async function runScenario({ attack, env = {}, prepare, beside }: ScenarioOptions): Promise<Result> {
  const directory = temporaryDirectory();
  const keys = { DAYBOOK_WRITE_KEYS: KEY, DAYBOOK_READ_KEYS: READ_KEY };
  const server = await startServer({ directory, env: { ...keys, ...env } });
  const children: ChildProcess[] = [];
  const run = (script: string, ...args: string[]) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    return child;
  };
  try {
    await prepare?.(server.url, directory);
    const honest = new Samples(run('honest.ts', server.url, KEY));
    // The first requests open connections and warm the code up.
    await sleep(1_000);
    const idleFromMs = nowMs();
    await sleep(IDLE_MS);
    const idle = honest.between(idleFromMs, nowMs());
    const attacker = run('attack.ts', attack, server.url, KEY, String(ATTACK_MS));
    const heard = textOf(attacker);
    const fromMs = nowMs();
    await Promise.all([sleep(ATTACK_MS), beside?.(server.url, ATTACK_MS)]);
    const toMs = nowMs();
    const recoveryMs = await recovery(honest, toMs, idle);
    const during = honest.between(fromMs, toMs);
    const outcomes = JSON.parse(await heard) as Record<string, number>;
    return { idle, attack: during, recoveryMs, peakBytes: peakBytes(server.pid), outcomes };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await server.kill('SIGKILL');
  }
}

/** Whether the times of a window are what an honest client may see, against those of the idle server. */
export function isGood({ p50Ms, p99Ms }: Times, idle: Times): boolean {
  const within = (ms: number, idleMs: number, enoughMs: number) =>
    ms <= SLACK * Math.max(3 * idleMs, enoughMs);
  return within(p50Ms, idle.p50Ms, P50_MS) && within(p99Ms, idle.p99Ms, P99_MS);
}

async function recovery(honest: Samples, fromMs: number, idle: Times): Promise<number> {
  while (nowMs() - fromMs < RECOVERY_MS + WINDOW_MS) {
    await sleep(50);
    const toMs = nowMs();
    if (toMs - WINDOW_MS < fromMs) continue;
    const window = honest.between(toMs - WINDOW_MS, toMs);
    const whole = window.count > (WINDOW_MS / 10) * 0.8 && Object.keys(window.failures).length === 0;
    if (whole && isGood(window, idle)) return toMs - WINDOW_MS - fromMs;
  }
  return Infinity;
}

/** What the honest client measures, as it does. */
class Samples {
  readonly #samples: { readonly startMs: number; readonly ms: number; readonly status: number }[] = [];

  constructor(client: ChildProcess) {
    let rest = '';
    client.stdout!.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        const [startMs, ms, status] = line.split(' ').map(Number) as [number, number, number];
        this.#samples.push({ startMs, ms, status });
      }
    });
  }

  /** Of the requests that began in this time and are answered. */
  between(fromMs: number, toMs: number): Times {
    const samples = this.#samples.filter(({ startMs }) => startMs >= fromMs && startMs < toMs);
    const times = samples.map(({ ms }) => ms).toSorted((a, b) => a - b);
    const at = (part: number) =>
      times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Infinity;
    const failures: Record<string, number> = {};
    for (const { status } of samples) if (status !== 200) failures[status] = (failures[status] ?? 0) + 1;
    return { p50Ms: at(0.5), p99Ms: at(0.99), count: times.length, failures };
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

async function textOf(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(child, 'close');
  return text;
}

/** The most memory that the process ever had, by the kernel. */
function peakBytes(pid: number): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1_024;
}
