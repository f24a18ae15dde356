import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { closing, type ProblemAnswer, socketAnswer, socketProblem } from './problem-reply.ts';
import { Problem } from './problems.ts';

/** Characters that a URL may have, its query included: the least that RFC 9110 asks a server to take. */
const URL_CHARS_MAX = 8_000;

/** How often Node looks for requests that take too long to arrive, in milliseconds. */
const CONNECTIONS_CHECK_MS = 500;

/** A request that no route has seen. */
interface UnroutedRequest {
  readonly method: string;
  readonly url: string;
  readonly id: () => string;
}

export interface HttpServerOptions {
  /** Longest time that a request may take to arrive, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** How long a connection may be idle, in milliseconds. */
  readonly keepAliveMs: number;
  readonly newId: () => string;
  /** The answer to a request that is refused; counts and logs the problem. */
  readonly refuse: (request: UnroutedRequest, problem: Problem) => ProblemAnswer;
  /** Told when such a request was answered; `ms` as far as it is known. */
  readonly answered: (request: UnroutedRequest, status: number, ms: number) => void;
}

/** A request on a connection and the answer to it. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Node's HTTP server before any route. Node answers some faults by itself, with a bare status: here they become
 * problem documents, and what goes wrong while a body arrives reaches the route that reads it, which then
 * answers, measures and logs it as it does everything else.
 */
export class HttpServer {
  readonly #options: HttpServerOptions;
  /** The newest request of each connection. */
  readonly #exchanges = new WeakMap<Socket, Exchange>();
  readonly #openedMs = new WeakMap<Socket, number>();

  constructor(options: HttpServerOptions) {
    this.#options = options;
  }

  create(next: RequestListener): Server {
    const server = createServer(
      {
        requestTimeout: this.#options.requestTimeoutMs,
        connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
        keepAliveTimeout: this.#options.keepAliveMs,
        requireHostHeader: false,
      },
      (request, response) => {
        this.#exchanges.set(request.socket, { request, response });
        const problem = unroutable(request);
        if (problem === undefined) next(request, response);
        else this.#refuse({ request, response }, problem);
      },
    );
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      this.#refuse({ request, response }, new Problem('expectation-failed', 'Expect may be 100-continue'));
    });
    return server.on('connection', (socket: Socket) => this.#openedMs.set(socket, performance.now()));
  }

  /** Listens to `clientError`: a request that cannot be read, or that takes too long to arrive. */
  readonly clientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    const problem = socketProblem(error);
    const exchange = this.#exchanges.get(socket);
    if (exchange !== undefined && !exchange.request.complete) breakOff(exchange, problem);
    else this.#answerSocket(socket, problem);
  };

  #refuse({ request, response }: Exchange, problem: Problem): void {
    const startedMs = performance.now();
    const { method = '', url = '' } = request;
    const seen = { method, url, id: once(this.#options.newId) };
    const { status, headers, body } = this.#options.refuse(seen, problem);
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
    response.end(method === 'HEAD' ? undefined : body);
    this.#options.answered({ ...seen, url: 'none' }, status, performance.now() - startedMs);
  }

  /** Answers on a connection whose request did not get as far as its URL. */
  #answerSocket(socket: Socket, problem: Problem): void {
    if (!socket.writable) return void socket.destroy();
    const seen = { method: 'none', url: '', id: once(this.#options.newId) };
    const answer = this.#options.refuse(seen, problem);
    socket.end(socketAnswer(answer, problem));
    const openMs = performance.now() - (this.#openedMs.get(socket) ?? performance.now());
    this.#options.answered({ ...seen, url: 'none' }, answer.status, openMs);
  }
}

/** Why no route is asked; undefined where one is. */
function unroutable({ url = '', headers, httpVersion }: IncomingMessage): Problem | undefined {
  if (headers.host === undefined && httpVersion === '1.1')
    return new Problem('bad-request', 'the header Host is missing', closing);
  if (url.length <= URL_CHARS_MAX) return undefined;
  return new Problem('uri-too-long', `the URL must be at most ${URL_CHARS_MAX} characters`);
}

/** The rest of a request will not come: whoever reads it hears why and answers. */
function breakOff({ request, response }: Exchange, problem: Problem): void {
  if (response.headersSent) request.socket.destroySoon();
  else if (request.listenerCount('error') > 0) request.emit('error', problem);
  // Nobody reads the body: the answer does not depend on it, but the connection is of no more use.
  else response.shouldKeepAlive = false;
}

function once(newId: () => string): () => string {
  let id: string | undefined;
  return () => (id ??= newId());
}
