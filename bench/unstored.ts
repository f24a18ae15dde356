import { createServer } from 'node:http';
import { randomFillSync } from 'node:crypto';
import { Keys } from '../server/src/access/keys.ts';
import { EventIds } from '../server/src/event/ids.ts';
import { problemAnswer, toProblem } from '../server/src/http/problem-reply.ts';
import { BodyBudget } from '../server/src/ingest/body.ts';
import { Encoder } from '../server/src/ingest/encoder.ts';
import { Ingest } from '../server/src/ingest/ingest.ts';
import { ingestLane } from '../server/src/ingest/lane.ts';
import { ingestWays } from '../server/src/ingest/ways.ts';

/*
 * The product's way in with a publisher that keeps nothing, in a process of its own: what remains of the distance
 * to the floor when neither the journal nor the loader is there.
 */

const nothing = () => undefined;
const ways = ingestWays({
  keys: new Keys({ writeKeys: [], readKeys: [] }),
  budget: new BodyBudget(2 ** 30),
  ingest: new Ingest({
    publisher: {
      name: 'nothing',
      limits: { waitingMax: Infinity, bytesMax: Infinity },
      open: () => Promise.resolve(),
      publish: () => Promise.resolve(),
      stats: () => ({ events: 0, bytes: 0, waiting: 0 }),
      close: () => Promise.resolve(),
    },
    meter: { accepted: nothing, rejected: nothing, batch: nothing },
    encoder: new Encoder(
      { project: 'default', eventTimeMinS: 946_684_800, eventTimeAheadS: 86_400 },
      new EventIds((bytes) => randomFillSync(bytes)),
    ),
    now: Date.now,
  }),
});
const lane = ingestLane(
  {
    ways,
    passes: () => false,
    newId: () => '',
    refuse: ({ url }, error) => problemAnswer(toProblem(error), '', url),
    answered: nothing,
  },
  (_request, response) => response.writeHead(200, { 'content-length': 0 }).end(),
);
const server = createServer(lane);
process.once('SIGTERM', () => process.exit(0));
server.listen(Number(process.env['PORT']), '127.0.0.1');
