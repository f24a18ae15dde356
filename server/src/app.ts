import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppModule } from './app.module.ts';
import type { Config } from './config.ts';
import { ProblemFilter } from './http/problem.filter.ts';
import { sendProblem, socketAnswer, toProblem } from './http/problem-reply.ts';
import { PROBLEMS, type Problem } from './http/problems.ts';
import { ingestRoutes } from './ingest/routes.ts';
import { openParts, type Parts } from './parts.ts';
import { createLogger, type Logger } from './telemetry/log.ts';

/** How often Node looks for requests that take too long to arrive, in milliseconds. */
const CONNECTIONS_CHECK_MS = 500;

/** How often connections that fell idle are closed while the server shuts down, in milliseconds. */
const IDLE_SWEEP_MS = 50;

/** A server that is ready to listen. */
export interface App {
  readonly parts: Parts;
  readonly nest: NestFastifyApplication;
  /** Listens and returns the base URL. */
  listen(): Promise<string>;
  /** Closes the listener, answers what is in flight, then closes the stores. */
  close(): Promise<void>;
}

/** Opens the data directory and makes the server; `main.ts` and every end-to-end test start here. */
export async function createApp(config: Config, log: Logger = createLogger(config.logLevel)): Promise<App> {
  const parts = await openParts(config, log);
  const adapter = new FastifyAdapter({
    logger: false,
    genReqId: requestIds(),
    requestTimeout: config.requestTimeoutMs,
    forceCloseConnections: 'idle',
    clientErrorHandler,
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(request, reply, toProblem(error)),
    http: { connectionsCheckingInterval: CONNECTIONS_CHECK_MS, requestTimeout: config.requestTimeoutMs },
    routerOptions: { ignoreTrailingSlash: true },
  });
  const nest = await NestFactory.create<NestFastifyApplication>(AppModule.of(parts), adapter, {
    logger: false,
    abortOnError: false,
  });
  const watch = (request: FastifyRequest, problem: Problem) => report(parts, request, problem);
  nest.useGlobalFilters(new ProblemFilter(watch));
  if (config.corsOrigins.length > 0)
    nest.enableCors({ origin: corsOrigin(config.corsOrigins), maxAge: 86_400 });
  await register(adapter.getInstance<FastifyInstance>(), parts, watch);
  await nest.init();
  return {
    parts,
    nest,
    listen: async () => {
      await nest.listen(config.port, config.host);
      parts.url = await nest.getUrl();
      return parts.url;
    },
    close: () => closeAll(nest),
  };
}

/** A connection whose request began before the close is kept alive after its answer: close such ones as they fall idle. */
async function closeAll(nest: NestFastifyApplication): Promise<void> {
  const server: Server = nest.getHttpServer();
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  await nest.close().finally(() => clearInterval(sweep));
}

type Watch = (request: FastifyRequest, problem: Problem) => void;

/** What Fastify does itself: errors outside Nest, measuring, and the hot routes. */
async function register(fastify: FastifyInstance, parts: Parts, watch: Watch): Promise<void> {
  const { metrics, config, log } = parts;
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.request(request.method, route, reply.statusCode, reply.elapsedTime);
    if (config.logRequests === 'all' || (config.logRequests === 'errors' && reply.statusCode >= 400)) {
      const { method, id } = request;
      log.info({
        request_id: id,
        method,
        route,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
      });
    }
    done();
  });
  await fastify.register(async (scope) => {
    scope.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error);
      watch(request, problem);
      sendProblem(request, reply, problem);
    });
    await scope.register(ingestRoutes(parts));
  });
}

/** Counts refused events and logs what is our fault, with its cause. */
function report({ metrics, log }: Parts, request: FastifyRequest, problem: Problem): void {
  const ingest = request.method === 'POST' && request.url.startsWith('/analytics/event');
  if (ingest && problem.code !== 'invalid-batch') metrics.rejected(problem.code, 1);
  if (PROBLEMS[problem.code].status < 500) return;
  const { code, cause } = problem;
  const stack = code === 'internal-error' && cause instanceof Error ? cause.stack : undefined;
  const detail = cause instanceof Error ? { cause: cause.message, stack } : {};
  log.error({ request_id: request.id, code, ...detail }, problem.message);
}

/** Ids that are unique over restarts and cheap: a random prefix and a count. */
function requestIds(): () => string {
  const prefix = randomBytes(6).toString('base64url');
  let count = 0;
  return () => `${prefix}-${(count += 1).toString(36)}`;
}

function corsOrigin(origins: readonly string[]): true | string[] {
  return origins.includes('*') ? true : [...origins];
}

/** Answers what Node could not read as HTTP, as far as the connection still takes an answer. */
function clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (socket.writable) socket.end(socketAnswer(error.code));
  else socket.destroy(error);
}
