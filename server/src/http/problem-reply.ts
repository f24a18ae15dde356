import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Problem, PROBLEMS, problemBody, problemHeaders, type ProblemCode } from './problems.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

/** Fastify's own errors, by code. */
const FASTIFY_PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad-request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid-json',
  FST_ERR_BAD_URL: 'bad-request',
  FST_ERR_NOT_FOUND: 'not-found',
  FST_ERR_REP_INVALID_PAYLOAD_TYPE: 'internal-error',
};

/** Node's own errors on a connection, by code. */
const SOCKET_PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'headers-too-large',
};

const SOCKET_DETAILS: Readonly<Partial<Record<ProblemCode, string>>> = {
  'request-timeout': 'the request did not arrive whole in time',
};

/** Anything thrown below a route → the problem to answer. What we do not know is `internal-error`. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { code, statusCode } = error as Partial<FastifyError>;
  const known = code === undefined ? undefined : FASTIFY_PROBLEMS[code];
  if (known !== undefined) return new Problem(known, PROBLEMS[known].title, { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem('bad-request', PROBLEMS['bad-request'].title, { cause: error });
  }
  return new Problem('internal-error', 'the fault was logged with the request_id', { cause: error });
}

/** A problem as it is written on the wire. */
export interface ProblemAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** A problem → the answer to a request, by its id and URL. */
export function problemAnswer(problem: Problem, requestId: string, url: string): ProblemAnswer {
  return {
    status: PROBLEMS[problem.code].status,
    headers: problemHeaders(problem),
    body: JSON.stringify(problemBody(problem, requestId, pathOf(url))),
  };
}

/** Characters of a path that are sent back to who asked for it. */
const PATH_CHARS_SHOWN = 200;

/** A URL without its query, as far as it is sent back. */
function pathOf(url: string): string {
  return (url.split('?', 1)[0] ?? '').slice(0, PATH_CHARS_SHOWN);
}

/** Writes a problem as the answer. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): void {
  const { status, headers, body } = problemAnswer(problem, request.id, request.url);
  void reply.code(status).headers(headers).send(body);
}

/** Options of a problem after which the connection is of no more use. */
export const closing = { headers: { connection: 'close' } } as const;

/** Node's error on a connection → the problem to answer. */
export function socketProblem(error: NodeJS.ErrnoException): Problem {
  const code = SOCKET_PROBLEMS[error.code ?? ''] ?? 'bad-request';
  return new Problem(code, SOCKET_DETAILS[code] ?? PROBLEMS[code].title, { cause: error, ...closing });
}

/** An answer as a whole HTTP message, for a connection whose request could not even be parsed. */
export function socketAnswer({ status, headers, body }: ProblemAnswer, problem: Problem): string {
  const lines = Object.entries({ ...SECURITY_HEADERS, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const { title } = PROBLEMS[problem.code];
  return `HTTP/1.1 ${status} ${title}\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
