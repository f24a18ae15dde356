import type { IncomingHttpHeaders } from 'node:http';
import { PROBLEMS, type Problem, type ProblemCode } from '../http/problems.ts';
import type { Config } from '../config.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { traceFields, type TraceFields } from './trace.ts';

/** A request, as far as problems are concerned. */
export interface WatchedRequest {
  readonly id: string;
  readonly method: string;
  readonly url: string;
  /** Absent where they could not be read. */
  readonly headers?: IncomingHttpHeaders | undefined;
}

/** A request that was answered. */
export interface AnsweredRequest {
  readonly method: string;
  /** The route's pattern, never the URL as sent. */
  readonly route: string;
  readonly status: number;
  /** From the request's headers to the answer, in milliseconds. */
  readonly ms: number;
  readonly id: () => string;
  readonly headers?: IncomingHttpHeaders | undefined;
}

/** The routes that take events, with or without a query. */
const INGEST = /^\/analytics\/events?(\?|$)/;

/** Problems of load and of stores that are away: one of them comes with every request while that lasts. */
const REPEATED: ReadonlySet<ProblemCode> = new Set([
  'server-busy',
  'storage-unavailable',
  'outcome-unknown',
  'warehouse-unavailable',
  'query-timeout',
]);

/** Each of those codes is logged once in this time, in milliseconds. */
const REPEATED_MS = 1_000;

/** What came of a code since its last line. */
interface Held {
  suppressed: number;
  write: (suppressed: number) => void;
}

export interface RequestWatchOptions {
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly config: Pick<Config, 'logRequests' | 'logFormat' | 'google'>;
}

/** Measures and logs requests, whichever way they were answered. Never logs what an event holds. */
export class RequestWatch {
  readonly #options: RequestWatchOptions;
  /** Codes that were logged within `REPEATED_MS`. */
  readonly #held = new Map<ProblemCode, Held>();

  constructor(options: RequestWatchOptions) {
    this.#options = options;
  }

  answered({ method, route, status, ms, id, headers }: AnsweredRequest): void {
    const { metrics, config, log } = this.#options;
    metrics.request(method, route, status, ms);
    if (config.logRequests === 'all' || (config.logRequests === 'errors' && status >= 400)) {
      log.info({ request_id: id(), method, route, status, ms: Math.round(ms), ...this.#trace(headers) });
    }
  }

  /** Counts refused events and logs what is our fault, with its cause; what repeats itself, once a second. */
  problem(request: WatchedRequest, problem: Problem): void {
    const { metrics, log } = this.#options;
    const ingest = request.method === 'POST' && INGEST.test(request.url);
    if (ingest && problem.code !== 'invalid-batch') metrics.rejected(problem.code, 1);
    if (PROBLEMS[problem.code].status < 500) return;
    const { code, cause } = problem;
    const stack = code === 'internal-error' && cause instanceof Error ? cause.stack : undefined;
    const detail = cause instanceof Error ? { cause: cause.message, stack } : {};
    const line = { request_id: request.id, code, ...detail, ...this.#trace(request.headers) };
    if (!REPEATED.has(code)) return log.error(line, problem.message);
    this.#repeated(code, (suppressed) => log.warn({ ...line, suppressed }, problem.message));
  }

  /** Writes the first line of a code at once; after each time the last one that came, with how many it stands for. */
  #repeated(code: ProblemCode, write: Held['write']): void {
    const held = this.#held.get(code);
    if (held !== undefined) {
      held.suppressed += 1;
      held.write = write;
      return;
    }
    this.#held.set(code, { suppressed: 0, write });
    write(0);
    this.#later(code);
  }

  #later(code: ProblemCode): void {
    const later = () => {
      const { suppressed, write } = this.#held.get(code)!;
      this.#held.delete(code);
      if (suppressed === 0) return;
      this.#held.set(code, { suppressed: 0, write });
      // The line itself is one of those that came.
      write(suppressed - 1);
      this.#later(code);
    };
    setTimeout(later, REPEATED_MS).unref();
  }

  /** Cloud Logging shows lines under the trace of their request. */
  #trace(headers: IncomingHttpHeaders | undefined): TraceFields {
    const { logFormat, google } = this.#options.config;
    return logFormat === 'google' && headers !== undefined ? traceFields(headers, google.projectId) : {};
  }
}
