import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createApp, type App } from '../../src/app.ts';
import { exportEvents } from '../../src/cli/export.ts';
import { readRecords } from '../../src/cli/import-file.ts';
import { readConfig } from '../../src/config.ts';
import { ControlClient } from '../../src/control/client.ts';
import { ControlServer } from '../../src/control/server.ts';
import { EventLines } from '../../src/event/lines.ts';
import { readStrictly } from '../../src/event/strict-json.ts';
import { JournalHead } from '../../src/transport/journal/head.ts';
import { JournalPublisher } from '../../src/transport/journal/publisher.ts';
import { JournalSource } from '../../src/transport/journal/source.ts';
import { MemoryTransport } from '../../src/transport/memory/memory.ts';
import { encodeMessage } from '../../src/transport/pubsub/message.ts';
import { exportLines } from '../../src/warehouse/bigquery/export.ts';
import { seededRandom } from '../faults/load.ts';

/*
 * V8 takes a key with an escape for one that it saw before in its place (docs/adr/0014). Everything that reads JSON which others wrote
 * is given texts that poison it and texts that are then misread, in one process and in random order.
 */

const ROUNDS = 4;
const NOW_S = Math.floor(Date.now() / 1_000);

/** Poison, canary, and what the canary's key is. Each has a first key of its own, so that none is used up by another. */
const PAIRS = [
  ['\\\\', '\\u00e9', 'é'],
  ['\\u005c', '\\"', '"'],
  ['\\\\', '\\n', '\n'],
  ['\\\\n', '\\nX', '\nX'],
  ['\\\\u0', '\\u0041BC', 'ABC'],
  ['\\\\', '\\/', '/'],
] as const;

let app: App;
let url: string;
let root: string;
let config: ReturnType<typeof readConfig>;
let control: ControlServer;
const seen: unknown[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'daybook-'));
  config = readConfig({
    PORT: '0',
    DAYBOOK_DATA_DIR: join(root, 'data'),
    DAYBOOK_LOG_LEVEL: 'silent',
    DAYBOOK_LOADER_INTERVAL_MS: '50',
  });
  app = await createApp(config);
  url = await app.listen();
  control = new ControlServer(root, {
    echo: (argument) => {
      seen.push(argument);
      return Promise.resolve(argument);
    },
  });
  await control.listen();
});

afterAll(async () => {
  await control.close();
  await app.close();
  rmSync(root, { recursive: true, force: true });
});

const eventText = (id: string, properties: string) =>
  `{"type":"event","event_name":"e","user_id":"u","session_id":"s","event_time":${NOW_S},"event_id":"${id}","properties":${properties}}`;
const lineText = (id: string, properties: string) =>
  `{"event_id":"${id}","event_id_given":true,"project":"default","received_at":7,"event_time":${NOW_S}000000,"event_name":"e",` +
  `"user_id":"u","session_id":"s","properties":${properties}}`;

async function post(path: string, body: string, type = 'application/json'): Promise<void> {
  const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': type }, body });
  expect(response.status, await response.text()).toBe(200);
}

const propertiesOf = (text: string) => (readStrictly(text) as { properties: unknown }).properties;
const limits = { waitingMax: 10, bytesMax: 2 ** 20 };

/** Takes the oldest event's time out of a journal that holds the line. */
async function journalStats(line: string): Promise<unknown> {
  const directory = mkdtempSync(join(root, 'journal-'));
  const head = new JournalHead();
  const options = {
    directory,
    limits: { ...limits, bytesMax: 2 ** 26 },
    freeBytes: () => 2 ** 40,
    freeBytesMin: 0,
    directoryLoss: () => undefined,
    onLoss: () => undefined,
  };
  const publisher = new JournalPublisher({ ...options, head, onIncomplete: () => undefined });
  await publisher.open();
  await publisher.publish(EventLines.of([line]));
  const source = new JournalSource({ directory, head: head.shared });
  await source.open([]);
  const { oldestReceivedAtUs } = source.stats();
  await source.close();
  await publisher.close();
  return oldestReceivedAtUs;
}

/** Name → gives a text with these properties to what reads it; returns the properties that come out, where they do at once. */
const ENTRIES: Readonly<Record<string, (id: string, properties: string) => Promise<unknown>>> = {
  'a single event': (id, properties) => post('/analytics/event', eventText(id, properties)),
  'an array': (id, properties) => post('/analytics/events', `[${eventText(id, properties)}]`),
  NDJSON: (id, properties) => post('/analytics/events', eventText(id, properties), 'application/x-ndjson'),
  'an import': async (id, properties) => {
    const file = join(root, 'import.ndjson');
    writeFileSync(file, `${eventText(id, properties)}\n`);
    const [record] = await Array.fromAsync(readRecords(file));
    return propertiesOf(record!.text);
  },
  'a cell of CSV': async (id, properties) => {
    const file = join(root, 'import.csv');
    const cell = `"${properties.replaceAll('"', '""')}"`;
    writeFileSync(file, `event_id,event_time,properties\n${id},${NOW_S},${cell}\n`);
    const [record] = await Array.fromAsync(readRecords(file));
    return propertiesOf(record!.text);
  },
  'a message of Pub/Sub': async (id, properties) => {
    const message = readStrictly(encodeMessage(lineText(id, properties)).toString()) as {
      properties: string;
    };
    return Promise.resolve(readStrictly(message.properties));
  },
  "BigQuery's export": async (id, properties) => {
    const rows = async function* () {
      yield await Promise.resolve({ event_id: id, event_time_us: NOW_S * 1e6, properties });
    };
    const [line] = await Array.fromAsync(exportLines(rows()));
    return propertiesOf(line!);
  },
  'the control socket': async (_id, properties) => {
    const answer = await new ControlClient(root).call('echo', readStrictly(properties));
    expect(JSON.stringify(seen.at(-1))).toBe(JSON.stringify(answer));
    return answer;
  },
  'the journal': async (id, properties) => {
    expect(await journalStats(lineText(id, properties))).toBe(7);
  },
  'the transport in memory': async (id, properties) => {
    const transport = new MemoryTransport(limits);
    await transport.open();
    await transport.publish(EventLines.of([lineText(id, properties)]));
    expect(transport.stats().oldestReceivedAtUs).toBe(7);
  },
};
const STORING = ['a single event', 'an array', 'NDJSON'];

it('regression: reads every key as it was sent, whatever was read before and wherever', async () => {
  const random = seededRandom('escaped keys');
  const names = Object.keys(ENTRIES);
  const expected = new Map<string, unknown>();
  const order = Array.from({ length: ROUNDS }, () =>
    names.flatMap((name) => PAIRS.map((pair) => ({ name, pair }))),
  ).flat();
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = random.int(0, at);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  for (const [index, { name, pair }] of order.entries()) {
    const [poison, canary, key] = pair;
    const first = `k${index}`;
    const from = names[random.int(0, names.length - 1)]!;
    await ENTRIES[from]!(`p${index}`, `{"${first}":1,"${poison}":2}`);
    // Objects that are built in another manner poison as well.
    JSON.parse(`{"${first}":1,"${poison}":2}`);
    const properties = { [first]: 1, [key]: 2 };
    const got = await ENTRIES[name]!(`c${index}`, `{"${first}":1,"${canary}":2}`);
    if (got !== undefined)
      expect(JSON.stringify(got), `${name} after ${from}`).toBe(JSON.stringify(properties));
    if (STORING.includes(name)) expected.set(`c${index}`, properties);
  }

  const output = join(root, 'exported.ndjson');
  await exportEvents(config, { format: 'ndjson', output, umask: 0o077 });
  const stored = new Map(
    readFileSync(output, 'utf8')
      .trim()
      .split('\n')
      .map((line) => readStrictly(line) as { event_id: string; properties: unknown })
      .map(({ event_id: id, properties }) => [id, properties]),
  );
  expect(expected.size).toBe(ROUNDS * STORING.length * PAIRS.length);
  for (const [id, properties] of expected) expect(stored.get(id), id).toEqual(properties);
});

it('regression: refuses NUL and lone surrogates in keys, whatever was read before', async () => {
  for (const [index, key] of ['\\u0000', '\\ud800', '\\u0000a'].entries()) {
    await post('/analytics/event', eventText(`n${index}`, `{"n${index}":1,"\\\\":2}`));
    JSON.parse(`{"n${index}":1,"\\\\":2}`);
    const canary = eventText(`m${index}`, `{"n${index}":1,"${key}":2}`);
    for (const [path, body, type] of [
      ['/analytics/event', canary, 'application/json'],
      ['/analytics/events', `[${canary}]`, 'application/json'],
      ['/analytics/events', canary, 'application/x-ndjson'],
    ] as const) {
      const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': type }, body });
      expect(response.status).toBe(400);
      expect(await response.text()).toMatch(/must not contain a NUL|lone surrogate/);
    }
  }
});
