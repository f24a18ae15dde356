import { createServer } from 'node:http';
import { randomFillSync } from 'node:crypto';
import { Keys } from '../server/src/access/keys.ts';
import { EventIds } from '../server/src/event/ids.ts';
import { Cors } from '../server/src/http/cors.ts';
import { EarlyAnswers } from '../server/src/http/early-answer.ts';
import { problemAnswer, toProblem } from '../server/src/http/problem-reply.ts';
import { requestListener } from '../server/src/http/request-listener.ts';
import { RouteTable } from '../server/src/http/route-table.ts';
import { BodyBudget } from '../server/src/ingest/body-budget.ts';
import { Encoder } from '../server/src/ingest/encoder.ts';
import { Ingest } from '../server/src/ingest/ingest.ts';
import { ingestWays } from '../server/src/ingest/ways.ts';

/*
 * The product's way in with a publisher that keeps nothing, in a process of its own: what remains of the distance
 * to the floor when neither the journal nor the loader is there.
 */

const nothing = () => undefined;
const posts = ingestWays({
  keys: new Keys({ writeKeys: [], readKeys: [] }),
  budget: new BodyBudget(2 ** 30),
  ingest: new Ingest({
    publisher: {
      name: 'nothing',
      limits: { waitingMax: Infinity, bytesMax: Infinity },
      open: () => Promise.resolve(),
      publish: () => Promise.resolve(),
      refusal: nothing,
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
const routes = new RouteTable();
for (const path of posts.keys()) routes.add('POST', path);
routes.add('GET', '/ready');
const listener = requestListener(
  {
    routes,
    posts,
    cors: new Cors([]),
    early: new EarlyAnswers(),
    newId: () => '',
    draining: () => false,
    refuse: ({ url }, error) => problemAnswer(toProblem(error), '', url),
    answered: nothing,
  },
  (_request, response) => response.writeHead(200, { 'content-length': 0 }).end(),
);
const server = createServer(listener);
process.once('SIGTERM', () => process.exit(0));
server.listen(Number(process.env['PORT']), '127.0.0.1');
