import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { type ProblemAnswer, socketAnswer, socketProblem } from './problem-reply.ts';
import type { Problem } from './problems.ts';
import type { SeenRequest } from './request-listener.ts';

/** How often Node looks for requests that take too long to arrive, in milliseconds. */
const CONNECTIONS_CHECK_MS = 500;

export interface HttpServerOptions {
  /** Longest time that a request may take to arrive, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** How long a connection may be idle, in milliseconds. */
  readonly keepAliveMs: number;
  readonly newId: () => string;
  /** The answer to a request that is refused; counts and logs the problem. */
  readonly refuse: (request: SeenRequest, problem: Problem) => ProblemAnswer;
  /** Told when such a request was answered; `ms` as far as it is known. */
  readonly answered: (request: SeenRequest, route: string, answer: { status: number; ms: number }) => void;
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

  /** `listener` gets every request whose headers could be read; `Expect` is its business too. */
  create(listener: RequestListener): Server {
    const seen: RequestListener = (request, response) => {
      this.#exchanges.set(request.socket, { request, response });
      listener(request, response);
    };
    const server = createServer(
      {
        requestTimeout: this.#options.requestTimeoutMs,
        connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
        keepAliveTimeout: this.#options.keepAliveMs,
        requireHostHeader: false,
      },
      seen,
    );
    server.on('checkContinue', seen).on('checkExpectation', seen);
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

  /** Answers on a connection whose request did not get as far as its URL. */
  #answerSocket(socket: Socket, problem: Problem): void {
    if (!socket.writable) return void socket.destroy();
    const seen = { method: 'none', url: '', id: once(this.#options.newId) };
    const answer = this.#options.refuse(seen, problem);
    socket.end(socketAnswer(answer, problem));
    const openMs = performance.now() - (this.#openedMs.get(socket) ?? performance.now());
    this.#options.answered(seen, 'none', { status: answer.status, ms: openMs });
  }
}

/** Fails the body reader, which then answers. */
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
