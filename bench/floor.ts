import Fastify from 'fastify';
import { BATCH_LIMITS } from '../server/src/event/limits.ts';
import { EVENT_SCHEMA } from '../server/src/event/schema.ts';

/*
 * The floor of the HTTP benchmarks, in a process of its own: a bare Fastify that parses and checks the same
 * requests against the same schema with its default validator, stores nothing, and answers the same.
 */

const fastify = Fastify({ logger: false, bodyLimit: BATCH_LIMITS.bytesMax });
fastify.get('/ready', () => ({ ready: true }));
fastify.post('/analytics/event', { schema: { body: EVENT_SCHEMA } }, () => ({ accepted: 1 }));
fastify.post(
  '/analytics/events',
  { schema: { body: { type: 'array', items: EVENT_SCHEMA } } },
  (request) => ({
    accepted: (request.body as unknown[]).length,
  }),
);
process.once('SIGTERM', () => void fastify.close());
await fastify.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
