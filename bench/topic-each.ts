import Fastify from 'fastify';
import { makePubsubClient } from '../server/src/transport/pubsub/client.ts';
import { EVENT_SCHEMA } from '../server/src/event/schema.ts';

/*
 * How events are often published, in a process of its own: a new topic object for each request, and an answer that
 * does not wait for the broker.
 */

const client = makePubsubClient(String(process.env['GOOGLE_CLOUD_PROJECT']));
const fastify = Fastify({ logger: false });
fastify.get('/ready', () => ({ ready: true }));
fastify.post('/analytics/event', { schema: { body: EVENT_SCHEMA } }, (request) => {
  const data = Buffer.from(JSON.stringify(request.body));
  client.topic('analytics').publishMessage({ data }, () => undefined);
  return { accepted: 1 };
});
process.once('SIGTERM', () => process.exit(0));
await fastify.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
