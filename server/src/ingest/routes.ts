import type { FastifyInstance } from 'fastify';
import { ANSWER_HEADERS, type Take } from './ways.ts';

/** The ways in as Fastify routes. Register inside a scope of their own: its body parsers are taken away. */
export function ingestRoutes(ways: ReadonlyMap<string, Take>) {
  return (scope: FastifyInstance, _options: object, done: () => void): void => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
    for (const [path, take] of ways) {
      scope.post(path, async (request, reply) => {
        const { status, body } = await take(request.raw);
        return reply.code(status).headers(ANSWER_HEADERS).send(body);
      });
    }
    done();
  };
}
