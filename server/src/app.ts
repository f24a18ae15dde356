import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import type { RequestListener, Server } from 'node:http';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppModule } from './app.module.ts';
import type { Config } from './config.ts';
import { Cors } from './http/cors.ts';
import { EarlyAnswers } from './http/early-answer.ts';
import { HttpServer } from './http/http-server.ts';
import { ProblemFilter } from './http/problem.filter.ts';
import { problemAnswer, sendProblem, toProblem } from './http/problem-reply.ts';
import { requestListener, type RequestListenerOptions } from './http/request-listener.ts';
import { RouteTable } from './http/route-table.ts';
import { ingestWays } from './ingest/ways.ts';
import { listenError } from './listen-error.ts';
import { openParts, type Parts } from './parts.ts';
import { createLogger, type Logger } from './telemetry/log.ts';
import { RequestWatch } from './telemetry/request-watch.ts';

/** How often connections that fell idle are closed while the server shuts down, in milliseconds. */
const IDLE_SWEEP_MS = 50;

/**
 * Connections that may wait to be accepted; Node's own limit is 511. Where more arrive at once the system drops them in
 * silence, and an honest client tries again after a second. Linux takes no more than net.core.somaxconn, 4,096.
 */
const BACKLOG = 4_096;

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
  const routes = new RouteTable();
  const options = listenerOptions(parts, watch, routes);
  const server = new HttpServer({
    ...options,
    requestTimeoutMs: config.requestTimeoutMs,
    keepAliveMs: config.keepAliveMs,
  });
  const adapter = new FastifyAdapter({
    logger: false,
    genReqId: options.newId,
    forceCloseConnections: 'idle',
    clientErrorHandler: server.clientError,
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(request, reply, toProblem(error)),
    serverFactory: (next: RequestListener) => server.create(requestListener(options, next)),
  });
  measure(adapter.getInstance<FastifyInstance>(), routes, watch);
  const nest = await NestFactory.create<NestFastifyApplication>(AppModule.of(parts), adapter, {
    logger: false,
    abortOnError: false,
    bodyParser: false,
  });
  nest.useGlobalFilters(new ProblemFilter((request, problem) => watch.problem(request, problem)));
  await nest.init();
  return {
    parts,
    nest,
    listen: async () => {
      try {
        await nest.listen({ port: config.port, host: config.host, backlog: BACKLOG });
      } catch (error) {
        await closeAll(nest, config);
        throw listenError(error, config);
      }
      parts.url = await nest.getUrl();
      return parts.url;
    },
    close: () => closeAll(nest, config),
  };
}

/**
 * A connection whose request began before the close is kept alive after its answer: close such ones as they fall idle. Half
 * of the time of a shutdown is for requests that are under way; the other half is for the stores, whatever clients do.
 */
async function closeAll(nest: NestFastifyApplication, { shutdownTimeoutMs }: Config): Promise<void> {
  const server: Server = nest.getHttpServer();
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  const end = setTimeout(() => server.closeAllConnections(), shutdownTimeoutMs / 2);
  await nest.close().finally(() => {
    clearInterval(sweep);
    clearTimeout(end);
  });
}

/** Tells the table of Fastify's routes, and measures what they answer. None of them takes a body. */
function measure(fastify: FastifyInstance, routes: RouteTable, watch: RequestWatch): void {
  fastify.removeAllContentTypeParsers();
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.add(one, url);
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const { method, id, headers } = request;
    const route = request.routeOptions.url ?? 'none';
    watch.answered({ method, route, status: reply.statusCode, ms: reply.elapsedTime, id: () => id, headers });
    done();
  });
}

/** How requests are answered that do not go through Fastify. */
function listenerOptions(parts: Parts, watch: RequestWatch, routes: RouteTable): RequestListenerOptions {
  const posts = ingestWays(parts);
  for (const path of posts.keys()) routes.add('POST', path);
  return {
    routes,
    posts,
    cors: new Cors(parts.config.corsOrigins),
    early: new EarlyAnswers(),
    newId: requestIds(),
    draining: () => parts.health.draining,
    refuse: ({ method, url, id, headers }, error) => {
      const problem = toProblem(error);
      watch.problem({ method, url, id: id(), headers }, problem);
      return problemAnswer(problem, id(), url);
    },
    answered: ({ method, id, headers }, route, { status, ms }) =>
      watch.answered({ method, route, status, ms, id, headers }),
  };
}

/** Ids that are unique over restarts and cheap: a random prefix and a count. */
function requestIds(): () => string {
  const prefix = randomBytes(6).toString('base64url');
  let count = 0;
  return () => `${prefix}-${(count += 1).toString(36)}`;
}
