import type { IncomingMessage, RequestListener } from 'node:http';
import { ANSWER_HEADERS, type Take } from './ways.ts';

/** An answer as Node writes it. */
export interface LaneAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface LaneOptions {
  readonly ways: ReadonlyMap<string, Take>;
  /** True for a request that needs more than its answer, e.g. CORS headers; it goes the long way. */
  readonly passes: (request: IncomingMessage) => boolean;
  readonly newId: () => string;
  /** The answer to what a way in threw. */
  readonly refuse: (request: LaneRequest, error: unknown) => LaneAnswer;
  /** Told when a request was answered; `ms` since its headers arrived. */
  readonly answered: (request: LaneRequest, status: number, ms: number) => void;
}

/** A request on its way through the lane. */
export interface LaneRequest {
  readonly method: string;
  readonly url: string;
  /** Its id, made when it is first asked for. */
  readonly id: () => string;
}

/**
 * The short way to the same routes: Node's server calls it first, and it answers plain posts to the ways in
 * without Fastify, which costs more than all that ingest does for one event (see docs/benchmarks.md).
 */
export function ingestLane(options: LaneOptions, next: RequestListener): RequestListener {
  const { ways, passes, newId, refuse, answered } = options;
  return (request, response) => {
    const { method = '', url = '' } = request;
    const take = method === 'POST' ? ways.get(url) : undefined;
    if (take === undefined || passes(request)) {
      next(request, response);
      return;
    }
    const startedMs = performance.now();
    let id: string | undefined;
    const seen: LaneRequest = { method, url, id: () => (id ??= newId()) };
    const answer = ({ status, headers, body }: LaneAnswer) => {
      response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
      answered(seen, status, performance.now() - startedMs);
    };
    take(request).then(
      ({ status, body }) => answer({ status, headers: ANSWER_HEADERS, body }),
      (error: unknown) => answer(refuse(seen, error)),
    );
  };
}
