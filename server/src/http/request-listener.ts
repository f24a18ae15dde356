import type { IncomingHttpHeaders, IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Cors, isPreflight } from './cors.ts';
import type { EarlyAnswers } from './early-answer.ts';
import { closing, type ProblemAnswer } from './problem-reply.ts';
import { Problem } from './problems.ts';
import type { Route, RouteTable } from './route-table.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

/** An answer as Node writes it: names and values of its headers in turn, `content-length` and the security headers too. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

/**
 * Answers a request without Fastify, from its headers on. It reads the body itself, and calls `proceed` before it does:
 * a client that waits for leave to send its body (`Expect: 100-continue`) gets it then. Throws or rejects with what the
 * answer is to be instead.
 */
export type RawHandler = (request: IncomingMessage, proceed: () => void) => Promise<RawAnswer>;

/** A request as far as its log line and its problem are concerned. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query, in the form of `Target`. */
  readonly url: string;
  /** Its id, made when it is first asked for. */
  readonly id: () => string;
  /** Absent where they could not be read. */
  readonly headers?: IncomingHttpHeaders;
}

export interface RequestListenerOptions {
  readonly routes: RouteTable;
  /** Handlers of POST, by path. */
  readonly posts: ReadonlyMap<string, RawHandler>;
  readonly cors: Cors;
  readonly early: EarlyAnswers;
  readonly newId: () => string;
  /** Whether clients should open another connection, since the server shuts down. */
  readonly draining: () => boolean;
  /** The answer to what was thrown; counts and logs it. */
  readonly refuse: (request: SeenRequest, error: unknown) => ProblemAnswer;
  /** Told when a request was answered here; `ms` since its headers arrived. */
  readonly answered: (request: SeenRequest, route: string, answer: { status: number; ms: number }) => void;
}

/**
 * The first to see a request. It answers what no route takes, before anything reads a byte of its body, and the posts of
 * events; everything else is a request without a body and goes on to Fastify, under the one spelling of its URL.
 */
export function requestListener(options: RequestListenerOptions, next: RequestListener): RequestListener {
  const { routes, posts, cors } = options;
  return (request, response) => {
    const exchange = new Exchange(options, request, response);
    let route: Route | undefined;
    try {
      checkHead(request);
      const target = routes.find(request.url ?? '');
      request.url = target.url;
      route = target.route;
      const { method = '' } = request;
      const post = method === 'POST' && route !== undefined ? posts.get(route.path) : undefined;
      if (post !== undefined) return exchange.answer(route!.path, post);
      if (cors.on && isPreflight(method, request.headers) && route !== undefined)
        return exchange.preflight(route);
      if (!(route?.methods.has(method) ?? false)) throw noRoute(request, route);
    } catch (error) {
      return exchange.refuse(route?.path ?? 'none', error);
    }
    exchange.decorate();
    next(request, response);
  };
}

/** Characters that a URL may have, its query included: the least that RFC 9110 asks a server to take. */
const URL_CHARS_MAX = 8_000;

/** @throws Problem for what Node would answer with a bare status, or not at all */
function checkHead({ url = '', headers, httpVersion }: IncomingMessage): void {
  if (headers.host === undefined && httpVersion === '1.1')
    throw new Problem('bad-request', 'the header Host is missing', closing);
  if (headers.expect !== undefined && !/^100-continue$/i.test(headers.expect))
    throw new Problem('expectation-failed', 'Expect may be 100-continue');
  if (url.length > URL_CHARS_MAX)
    throw new Problem('uri-too-long', `the URL must be at most ${URL_CHARS_MAX} characters`);
}

/** The problem of a method and path that no route takes: 405 where another method would do, else 404. */
function noRoute({ method, url = '' }: IncomingMessage, route: Route | undefined): Problem {
  if (route === undefined) {
    const path = url.split('?', 1)[0]!.slice(0, PATH_CHARS_SHOWN);
    return new Problem('not-found', `there is no ${method} ${path}`);
  }
  const allow = [...route.methods].join(', ');
  return new Problem('method-not-allowed', `allowed: ${allow}`, { headers: { allow } });
}

/** Characters of a path that are sent back to who asked for it. */
const PATH_CHARS_SHOWN = 200;

const CLOSE = ['connection', 'close'] as const;

/**
 * Posts of one connection that may be under way: a client may send some before it has their answers (pipelining), and
 * what it sends beyond would be work of a size that nothing else limits.
 */
const POSTS_UNDER_WAY_MAX = 16;
const postsUnderWay = new WeakMap<Socket, number>();

/** One request and its answer. */
class Exchange {
  readonly #options: RequestListenerOptions;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #startedMs = performance.now();
  #seen: SeenRequest | undefined;

  constructor(options: RequestListenerOptions, request: IncomingMessage, response: ServerResponse) {
    this.#options = options;
    this.#request = request;
    this.#response = response;
  }

  answer(route: string, handler: RawHandler): void {
    const { headers, httpVersion } = this.#request;
    const waits = headers.expect !== undefined && httpVersion !== '1.0';
    const { socket } = this.#request;
    const underWay = postsUnderWay.get(socket) ?? 0;
    if (underWay >= POSTS_UNDER_WAY_MAX) return this.refuse(route, tooManyPosts());
    postsUnderWay.set(socket, underWay + 1);
    const settle = () => void postsUnderWay.set(socket, postsUnderWay.get(socket)! - 1);
    handler(this.#request, waits ? () => this.#response.writeContinue() : proceeded).then(
      (answer) => (settle(), this.#send(route, answer)),
      (error: unknown) => (settle(), this.refuse(route, error)),
    );
  }

  refuse(route: string, error: unknown): void {
    const { status, headers, body } = this.#options.refuse(this.#see(), error);
    const length = String(Buffer.byteLength(body));
    const flat = Object.entries({ ...SECURITY_HEADERS, ...headers, 'content-length': length }).flat();
    this.#send(route, { status, headers: flat, body: this.#request.method === 'HEAD' ? '' : body });
  }

  preflight(route: Route): void {
    const headers = this.#options.cors.preflightHeaders(this.#request.headers, [...route.methods]);
    const flat = Object.entries({ ...SECURITY_HEADERS, ...headers }).flat();
    this.#send(route.path, { status: 204, headers: flat, body: '' });
  }

  /** Prepares what Fastify will answer: the headers that every answer has, and a body that nobody reads. */
  decorate(): void {
    const { cors } = this.#options;
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) this.#response.setHeader(name, value);
    if (cors.on) {
      const headers = cors.answerHeaders(this.#request.headers.origin);
      for (const [name, value] of Object.entries(headers)) this.#response.setHeader(name, value);
    }
    if (!hasBody(this.#request)) return;
    this.#response.setHeader('connection', 'close');
    this.#options.early.prepare(this.#request);
  }

  #send(route: string, { status, headers, body }: RawAnswer): void {
    const { cors, early, answered, draining } = this.#options;
    const request = this.#request;
    const { origin } = request.headers;
    const unread = !request.complete && hasBody(request);
    const closes = (unread || draining()) && !headers.includes('connection');
    let all: string[] = headers as string[];
    if (closes) all = [...all, ...CLOSE];
    if (cors.on && origin !== undefined && status !== 204)
      all = [...all, ...Object.entries(cors.answerHeaders(origin)).flat()];
    if (unread) early.prepare(request);
    this.#response.writeHead(status, all).end(body);
    answered(this.#see(), route, { status, ms: performance.now() - this.#startedMs });
  }

  #see(): SeenRequest {
    return (this.#seen ??= seen(this.#request, this.#options.newId));
  }
}

function proceeded(): void {}

function tooManyPosts(): Problem {
  const detail = `a connection must have at most ${POSTS_UNDER_WAY_MAX} posts under way: read the answers first`;
  return new Problem('server-busy', detail, closing);
}

function seen({ method = '', url = '', headers }: IncomingMessage, newId: () => string): SeenRequest {
  let id: string | undefined;
  return { method, url, headers, id: () => (id ??= newId()) };
}

/** Whether the request says that a body follows its headers. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
