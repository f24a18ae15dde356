import { expect, it } from 'vitest';
import { Loader } from '../../src/delivery/loader.ts';
import { encodeLine } from '../../src/event/line.ts';
import { EventLines } from '../../src/event/lines.ts';
import { MemoryTransport } from '../../src/transport/memory/memory.ts';
import type { DeadLetter } from '../../src/warehouse/contract.ts';
import { DuckdbWarehouse } from '../../src/warehouse/duckdb/warehouse.ts';
import { makeEvent, seededRandom } from './load.ts';
import { temporaryDirectory } from './stored.ts';

const GOOD = 2_000;

let ids = 0;
const receipt = {
  project: 'default',
  receivedAtUs: 1_704_067_200_000_000,
  newEventId: () => `made-${(ids += 1)}`,
};
const good = (n: number) => encodeLine(makeEvent(`good-${n}`, n, n % 2 === 0), receipt);

/** Lines that the server never writes, but that an older version or a damaged transport may hold. */
const POISON: Readonly<Record<string, string>> = {
  'not JSON': '{"event_id":"poison',
  'an empty line': ' ',
  'no user': good(1_000_001).replace('"user_id":"good-1000001"', '"user_id":null'),
  'a time that is text': good(1_000_002).replace(/"event_time":\d+/, '"event_time":"yesterday"'),
  'a time beyond what a timestamp holds': good(1_000_003).replace(
    /"event_time":\d+/,
    '"event_time":9223372036854775807',
  ),
  'a time beyond 64 bits': good(1_000_004).replace(
    /"event_time":\d+/,
    '"event_time":99999999999999999999999',
  ),
  'a JSON value that is no object': '[1,2,3]',
  'no event_id': good(1_000_005).replace(/"event_id":"[^"]*"/, '"event_id":null'),
};

it('gives up only the lines that DuckDB rejects, each with its reason, and counts the rest once', async () => {
  const random = seededRandom('poison');
  const lines = Array.from({ length: GOOD }, (_, n) => good(n));
  for (const line of Object.values(POISON)) lines.splice(random.int(0, lines.length), 0, line);

  const warehouse = new DuckdbWarehouse({
    directory: temporaryDirectory(),
    timezone: 'UTC',
    memoryBytesMax: 2 ** 28,
    threads: 2,
  });
  await warehouse.open();
  const transport = new MemoryTransport({ waitingMax: 100, bytesMax: 2 ** 26 });
  await transport.open();
  for (const piece of EventLines.of(lines).pieces(97)) await transport.publish(piece);

  const failures: string[] = [];
  let seen = 0;
  const letters: DeadLetter[] = [];
  const stop = new AbortController();
  const loader = new Loader({
    source: transport,
    sink: warehouse,
    eventsMax: 500,
    intervalMs: 0,
    nowUs: () => 1_704_067_300_000_000,
    observer: {
      loaded: (delivery, _result, deadLetters) => {
        letters.push(...deadLetters);
        seen += delivery.lines.count;
        if (seen === lines.length) stop.abort();
      },
      failed: (error) => {
        failures.push(`${error.code}: ${error.message}`);
        if (failures.length === 10) stop.abort();
      },
    },
  });
  await loader.run(stop.signal);

  // The loader met nothing but what it can give up.
  expect(failures).toEqual([]);
  expect(new Set(letters.map(({ body }) => body))).toEqual(new Set(Object.values(POISON)));
  expect(letters.filter(({ reason }) => reason !== 'rejected')).toEqual([]);
  const ask = async (sql: string) => (await warehouse.query({ sql, params: {} }, { timeoutMs: 10_000 }))[0];
  expect(
    await ask(
      `SELECT count(*) AS events, count(DISTINCT user_id) FILTER (user_id LIKE 'good-%') AS users FROM events`,
    ),
  ).toEqual({ events: GOOD, users: GOOD });
  expect(
    await ask(
      `SELECT count(*) AS letters, count(DISTINCT body) AS bodies FROM dead_letters WHERE reason = 'rejected'`,
    ),
  ).toEqual({ letters: Object.keys(POISON).length, bodies: Object.keys(POISON).length });
  expect(await warehouse.verify()).toEqual([]);
  await warehouse.close();
});
