import { EventLines } from '../server/src/event/lines.ts';
import { PubsubPublisher } from '../server/src/transport/pubsub/publisher.ts';
import { DAY_S, trafficLines } from './lines.ts';

/*
 * The floor of the Pub/Sub benchmark, in a process of its own: the product's publisher called directly, without HTTP,
 * with as many batches under way as the load has connections. Prints events a second, one line a round, each time it
 * is told to by a line on standard input that holds the round's milliseconds.
 */

const BATCH_EVENTS = 100;
const BATCHES_UNDER_WAY = 64;

const batches = EventLines.of([
  ...trafficLines({
    events: 2_000,
    users: 500,
    days: 1,
    fromS: Math.floor(Date.now() / 1_000) - DAY_S,
    givenIds: false,
  }),
]).pieces(BATCH_EVENTS);
const publisher = new PubsubPublisher({
  projectId: String(process.env['GOOGLE_CLOUD_PROJECT']),
  topic: 'analytics',
  limits: { waitingMax: 10_000, bytesMax: 64 * 1_024 * 1_024 },
  eventsMax: 100_000,
  timeoutMs: 5_000,
});
await publisher.open();

async function round(ms: number): Promise<number> {
  const startedMs = performance.now();
  let events = 0;
  const lane = async (from: number) => {
    for (let at = from; performance.now() - startedMs < ms; at += 1) {
      await publisher.publish(batches[at % batches.length]!);
      events += BATCH_EVENTS;
    }
  };
  await Promise.all(Array.from({ length: BATCHES_UNDER_WAY }, (_, index) => lane(index)));
  return (events / (performance.now() - startedMs)) * 1_000;
}

process.stdin.setEncoding('utf8');
for await (const text of process.stdin) process.stdout.write(`${await round(Number(text))}\n`);
await publisher.close();
