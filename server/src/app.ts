import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import type { RequestListener, Server } from 'node:http';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppModule } from './app.module.ts';
import type { Config } from './config.ts';
import { HttpServer } from './http/http-server.ts';
import { ProblemFilter } from './http/problem.filter.ts';
import { problemAnswer, sendProblem, toProblem } from './http/problem-reply.ts';
import { ingestLane, type LaneOptions } from './ingest/lane.ts';
import { ingestRoutes } from './ingest/routes.ts';
import { ingestWays, type Take } from './ingest/ways.ts';
import { listenError } from './listen-error.ts';
import { openParts, type Parts } from './parts.ts';
import { createLogger, type Logger } from './telemetry/log.ts';
import { RequestWatch } from './telemetry/request-watch.ts';

/** How often connections that fell idle are closed while the server shuts down, in milliseconds. */
const IDLE_SWEEP_MS = 50;

/** A server that is ready to listen. */
export interface App {
  readonly parts: Parts;
  readonly nest: NestFastifyApplication;
  /** Listens and returns the base URL. Where it cannot, the app is closed and the error says what to do. */
  listen(): Promise<string>;
  /** Closes the listener, answers what is in flight, then closes the stores. */
  close(): Promise<void>;
}

/** Opens the data directory and makes the server; `serve.ts` and every end-to-end test start here. */
export async function createApp(
  config: Config,
  log: Logger = createLogger(config.logLevel, config.logFormat),
): Promise<App> {
  const parts = await openParts(config, log);
  const watch = new RequestWatch(parts);
  const newId = requestIds();
  const ways = ingestWays(parts);
  const lane = laneOptions({ parts, ways, watch, newId });
  const { requestTimeoutMs, keepAliveMs } = config;
  const server = new HttpServer({ ...lane, requestTimeoutMs, keepAliveMs });
  const adapter = new FastifyAdapter({
    logger: false,
    genReqId: newId,
    forceCloseConnections: 'idle',
    clientErrorHandler: server.clientError,
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(request, reply, toProblem(error)),
    routerOptions: { ignoreTrailingSlash: true },
    serverFactory: (next: RequestListener) => server.create(ingestLane(lane, next)),
  });
  const nest = await NestFactory.create<NestFastifyApplication>(AppModule.of(parts), adapter, {
    logger: false,
    abortOnError: false,
  });
  nest.useGlobalFilters(new ProblemFilter((request, problem) => watch.problem(request, problem)));
  if (config.corsOrigins.length > 0)
    nest.enableCors({
      origin: corsOrigin(config.corsOrigins),
      exposedHeaders: ['ETag', 'Retry-After'],
      maxAge: 86_400,
    });
  await register(adapter.getInstance<FastifyInstance>(), ways, watch);
  await nest.init();
  return {
    parts,
    nest,
    listen: async () => {
      try {
        await nest.listen(config.port, config.host);
      } catch (error) {
        await closeAll(nest);
        throw listenError(error, config);
      }
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

/** What Fastify does itself: measuring, and the ways in. */
async function register(
  fastify: FastifyInstance,
  ways: ReadonlyMap<string, Take>,
  watch: RequestWatch,
): Promise<void> {
  fastify.addHook('onResponse', (request, reply, done) => {
    const { method, id } = request;
    const route = request.routeOptions.url ?? 'none';
    watch.answered({ method, route, status: reply.statusCode, ms: reply.elapsedTime, id: () => id });
    done();
  });
  await fastify.register(async (scope) => {
    scope.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error);
      watch.problem(request, problem);
      sendProblem(request, reply, problem);
    });
    await scope.register(ingestRoutes(ways));
  });
}

interface LaneParts {
  readonly parts: Parts;
  readonly ways: ReadonlyMap<string, Take>;
  readonly watch: RequestWatch;
  readonly newId: () => string;
}

/** How requests are answered that do not go through Fastify. */
function laneOptions({ parts, ways, watch, newId }: LaneParts): LaneOptions {
  const cors = parts.config.corsOrigins.length > 0;
  return {
    ways,
    passes: ({ headers }) => parts.health.draining || (cors && headers.origin !== undefined),
    newId,
    refuse: ({ method, url, id }, error) => {
      const problem = toProblem(error);
      watch.problem({ method, url, id: id() }, problem);
      return problemAnswer(problem, id(), url);
    },
    answered: ({ method, url, id }, status, ms) => watch.answered({ method, route: url, status, ms, id }),
  };
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
