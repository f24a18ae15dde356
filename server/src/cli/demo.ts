import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../app.ts';
import { randomKey, type Config } from '../config.ts';
import { greeting } from '../greeting.ts';
import { demoEvents, type DemoOptions } from './demo-data.ts';
import { Progress } from './progress.ts';
import { sendBatch } from './send.ts';

const BATCH_EVENTS = 1_000;

/** Keys that a server would make at its first start; of no use after the demo. */
function demoKeys({ keysToMake, writeKeys, readKeys }: Config): Pick<Config, 'writeKeys' | 'readKeys'> {
  const made = new Map(keysToMake.map((name) => [name, randomKey()]));
  for (const [name, key] of made) process.stdout.write(`${name}=${key}\n`);
  const keysOf = (name: (typeof keysToMake)[number], given: string[]) => {
    const key = made.get(name);
    return key === undefined ? given : [key];
  };
  return {
    writeKeys: keysOf('DAYBOOK_WRITE_KEYS', writeKeys),
    readKeys: keysOf('DAYBOOK_READ_KEYS', readKeys),
  };
}

/** Fills a throw-away data directory through the API, then serves it until Ctrl-C. */
export async function demo(base: Config, options: DemoOptions): Promise<void> {
  // Whatever the environment chooses: made-up events never go to a real topic.
  const config = {
    ...base,
    warehouse: 'duckdb',
    warehouseBecause: 'a demo is always embedded',
    journal: true,
    dataDirectory: mkdtempSync(join(tmpdir(), 'daybook-demo-')),
    ...demoKeys(base),
  } as const;
  process.once('exit', () => rmSync(config.dataDirectory, { recursive: true, force: true }));
  const app = await createApp(config);
  const url = await app.listen();
  const stop = () => void app.close().finally(() => process.exit(0));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const progress = new Progress(`${options.days} days`, options.events);
  let sent = 0;
  let lines: string[] = [];
  const flush = async () => {
    if (lines.length > 0) sent += (await sendBatch({ url, key: config.writeKeys[0] }, lines)).accepted;
    lines = [];
    progress.update(sent, `${sent} events`);
  };
  for (const event of demoEvents(options, Date.now() / 1_000)) {
    if (lines.push(JSON.stringify(event)) === BATCH_EVENTS) await flush();
  }
  await flush();
  progress.end();
  process.stdout.write(`\n${sent} events over ${options.days} days${greeting(url, config)}`);
}
