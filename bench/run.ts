import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Report } from './report.ts';

/** Name → the benchmark; each is loaded only when it runs. */
const BENCHMARKS: Readonly<Record<string, (report: Report, quick: boolean) => Promise<void>>> = {
  single: async (...given) => (await import('./single.ts')).single(...given),
  batch: async (...given) => (await import('./batch.ts')).batch(...given),
  loading: async (...given) => (await import('./loading.ts')).loading(...given),
  daily: async (...given) => (await import('./daily.ts')).daily(...given),
  limits: async (...given) => (await import('./limits.ts')).limits(...given),
  pubsub: async (...given) => (await import('./pubsub.ts')).pubsub(...given),
  bytes: async (report) => (await import('./bytes.ts')).bytes(report),
  before: async (...given) => (await import('./before.ts')).before(...given),
  footprint: async (...given) => (await import('./footprint.ts')).footprint(...given),
};

/** Needs another clone, so it runs only when it is named. */
const NAMED_ONLY = 'before';

const RESULTS = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
const USAGE = `node bench/run.ts [${Object.keys(BENCHMARKS).join('|')} ...] [--quick]\n`;

/** Runs the benchmarks named, or all of them; only a full run of all is written to docs/benchmarks.md. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean' } },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined) {
    process.stderr.write(`no benchmark is named ${unknown}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const quick = values.quick === true;
  const all = Object.keys(BENCHMARKS).filter((name) => name !== NAMED_ONLY);
  const names = positionals.length > 0 ? positionals : all;
  const report = new Report();
  const startedMs = performance.now();
  for (const name of names) {
    process.stdout.write(`${name}\n`);
    await BENCHMARKS[name]!(report, quick);
    // After each, so that a run that is cut short leaves what it has measured.
    if (!quick && positionals.length === 0) report.write(RESULTS, 'npm run bench');
  }
  process.stdout.write(`${Math.round((performance.now() - startedMs) / 1_000)} s\n`);
}

await main();
