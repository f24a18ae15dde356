import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Keys } from '../access/keys.ts';
import { BATCH_LIMITS, EVENT_BYTES_MAX } from '../event/limits.ts';
import { Problem } from '../http/problems.ts';
import { type BodyBudget, readBody } from './body.ts';
import type { Ingest } from './ingest.ts';
import { parseArray, parseJson, parseNdjson, watchLines } from './parse.ts';
import { hasEscapes } from './validator.ts';

export interface IngestRoutesOptions {
  readonly ingest: Ingest;
  readonly keys: Keys;
  readonly budget: BodyBudget;
}

const JSON_TYPE = 'application/json';
const NDJSON_TYPE = 'application/x-ndjson';

/**
 * The ways in, as plain Fastify routes: Nest's pipeline would cost more than everything else on them.
 * Register inside a scope of their own; the scope's body parsers replace Fastify's.
 */
export function ingestRoutes({ ingest, keys, budget }: IngestRoutesOptions) {
  const authorise = (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
    try {
      keys.check('write', request.headers.authorization);
      done();
    } catch (error) {
      done(error as Error);
    }
  };

  const single = (scope: FastifyInstance, _options: object, done: () => void) => {
    acceptOnly(scope, [JSON_TYPE]);
    scope.addContentTypeParser(JSON_TYPE, (request: FastifyRequest, payload: FastifyRequest['raw']) =>
      readBody(payload, request.headers, { bytesMax: EVENT_BYTES_MAX, budget }),
    );
    scope.post('/analytics/event', { onRequest: authorise }, async (request, reply) => {
      const text = bodyText(request);
      await ingest.event(parseJson(text), hasEscapes(text));
      return reply.header('content-type', 'application/json; charset=utf-8').send('{"accepted":1}');
    });
    done();
  };

  const batch = (scope: FastifyInstance, _options: object, done: () => void) => {
    acceptOnly(scope, [JSON_TYPE, NDJSON_TYPE]);
    const { bytesMax } = BATCH_LIMITS;
    scope.addContentTypeParser(JSON_TYPE, async (request: FastifyRequest, payload: FastifyRequest['raw']) => {
      const text = await readBody(payload, request.headers, { bytesMax, budget });
      return { items: parseArray(text), escaped: hasEscapes(text) };
    });
    scope.addContentTypeParser(
      NDJSON_TYPE,
      async (request: FastifyRequest, payload: FastifyRequest['raw']) => {
        const text = await readBody(payload, request.headers, { bytesMax, budget, watch: watchLines() });
        return { items: parseNdjson(text), escaped: hasEscapes(text) };
      },
    );
    scope.post('/analytics/events', { onRequest: authorise }, async (request, reply) => {
      const body = request.body as { items: ReturnType<typeof parseArray>; escaped: boolean } | undefined;
      if (body === undefined) throw new Problem('empty-batch', 'the body is empty');
      const { accepted, rejected, rejectedTotal } = await ingest.batch(body.items, body.escaped);
      if (rejectedTotal === 0) return reply.send({ accepted });
      return reply.code(207).send({ accepted, rejected, rejected_total: rejectedTotal });
    });
    done();
  };

  return async (scope: FastifyInstance): Promise<void> => {
    await scope.register(single);
    await scope.register(batch);
  };
}

/** Every media type but these is answered with 415, before its body is read. */
function acceptOnly(scope: FastifyInstance, types: readonly string[]): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request, _payload, done) => {
    done(
      new Problem('unsupported-media-type', `Content-Type must be ${types.join(' or ')}`, {
        headers: { 'accept-post': types.join(', '), connection: 'close' },
      }),
    );
  });
}

function bodyText(request: FastifyRequest): string {
  const text = request.body;
  if (typeof text !== 'string' || text === '') throw new Problem('invalid-json', 'the body is empty');
  return text;
}
