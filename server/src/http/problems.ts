import type { Fault } from '../event/event.ts';
import type { StoreErrorCode } from '../event/store-error.ts';

/** One kind of error that a client can get. */
export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Whether the same request may succeed later, unchanged. Retryable answers carry Retry-After. */
  readonly retryable: boolean;
  /** What to do, for `docs/errors.md`. */
  readonly help: string;
}

const kind = (status: number, title: string, help: string, retryable = false): ProblemKind => ({
  status,
  title,
  retryable,
  help,
});

/** Every error that the API answers. `docs/errors.md` is generated from it; a test holds the two together. */
export const PROBLEMS = {
  'invalid-json': kind(
    400,
    'The body is not JSON',
    'Send one JSON value; the detail says where parsing stopped.',
  ),
  'invalid-utf8': kind(
    400,
    'The body is not UTF-8',
    'Encode the body as UTF-8. Of an NDJSON batch only the lines that are not are rejected.',
  ),
  'invalid-encoding': kind(400, 'The body cannot be decompressed', 'Send what Content-Encoding says, whole.'),
  'invalid-event': kind(400, 'The event is not valid', 'Correct the fields in errors; nothing was stored.'),
  'invalid-batch': kind(
    400,
    'No event of the batch is valid',
    'Correct the events in rejected; nothing was stored.',
  ),
  'empty-batch': kind(400, 'The batch has no events', 'Send at least one event.'),
  'invalid-query': kind(400, 'A query parameter is not valid', 'Correct the parameters in errors.'),
  'bad-request': kind(
    400,
    'The request is not valid HTTP',
    'Check the request line, the headers and the framing.',
  ),
  unauthorized: kind(401, 'A key is needed', 'Send Authorization: Bearer with a key of the right kind.'),
  'not-found': kind(404, 'There is nothing here', 'See /docs for the routes.'),
  'method-not-allowed': kind(405, 'The method is not allowed here', 'Use a method of the Allow header.'),
  'request-timeout': kind(
    408,
    'The request took too long to arrive',
    'Send the body faster or in smaller parts.',
    true,
  ),
  'body-too-large': kind(
    413,
    'The body is too large',
    'Send smaller bodies; the detail names the limit. A compressed body that repeats itself absurdly can be sent ' +
      'without compression.',
  ),
  'too-many-events': kind(
    413,
    'The batch has too many events',
    'Split the batch; the detail names the limit.',
  ),
  'uri-too-long': kind(414, 'The URL is too long', 'Shorten the URL; the detail names the limit.'),
  'unsupported-media-type': kind(
    415,
    'The media type is not supported',
    'Use a Content-Type that the detail names.',
  ),
  'unsupported-encoding': kind(415, 'The content encoding is not supported', 'Use gzip, br, zstd, or none.'),
  'expectation-failed': kind(
    417,
    'The expectation cannot be met',
    'Leave the header Expect out, or send Expect: 100-continue.',
  ),
  'headers-too-large': kind(431, 'The headers are too large', 'Send fewer or shorter headers.'),
  'internal-error': kind(
    500,
    'Something went wrong',
    'This is a fault of Daybook; look for the request_id in the log.',
  ),
  'storage-unavailable': kind(
    503,
    'Events cannot be stored right now',
    'Nothing was stored. Wait for Retry-After, then send the same request again.',
    true,
  ),
  'outcome-unknown': kind(
    503,
    'It is not known whether the events were stored',
    'Some or all of them may be. Wait for Retry-After, then send the same request again: events that carry an ' +
      'event_id are not counted twice.',
    true,
  ),
  'warehouse-unavailable': kind(
    503,
    'Reports are not available right now',
    'Wait for Retry-After, then try again.',
    true,
  ),
  'server-busy': kind(
    503,
    'The server is busy',
    'Nothing was stored or read. Wait for Retry-After, then try again; smaller bodies are let in first.',
    true,
  ),
  'query-timeout': kind(
    504,
    'The report took too long',
    'Ask for a shorter range, or raise DAYBOOK_QUERY_TIMEOUT_MS.',
    true,
  ),
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Seconds that a client is asked to wait before it tries a retryable request again. */
const RETRY_AFTER_S = 1;

/** Faults listed in one answer; further ones are counted, not listed. */
export const FAULTS_MAX = 20;

export interface ProblemOptions extends ErrorOptions {
  readonly faults?: readonly Fault[];
  /** Further members of the answer, e.g. `rejected`. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown anywhere below a route; the filter writes it as `application/problem+json`. The message is the detail. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, options);
    this.code = code;
    this.options = options;
  }
}

/** The body of a problem (RFC 9457). */
export function problemBody(problem: Problem, requestId: string, instance: string): Record<string, unknown> {
  const { status, title } = PROBLEMS[problem.code];
  const { faults, members } = problem.options;
  return {
    type: `/docs/errors#${problem.code}`,
    title,
    status,
    detail: problem.message,
    instance,
    code: problem.code,
    request_id: requestId,
    ...(faults === undefined ? {} : { errors: faults.slice(0, FAULTS_MAX) }),
    ...members,
  };
}

/** The headers of a problem. */
export function problemHeaders(problem: Problem): Record<string, string> {
  const retry = PROBLEMS[problem.code].retryable ? { 'retry-after': String(RETRY_AFTER_S) } : {};
  return { 'content-type': 'application/problem+json; charset=utf-8', ...retry, ...problem.options.headers };
}

/** A store's failure as the answer of a read. The cause stays in the log. */
export function readProblem(code: StoreErrorCode, cause: unknown): Problem {
  if (code === 'timeout')
    return new Problem('query-timeout', 'the report was stopped at its time limit', { cause });
  if (code === 'busy') return new Problem('server-busy', 'too many reports are asked for at once', { cause });
  if (code === 'rejected' && /time ?zone/i.test(String(cause)))
    return new Problem('invalid-query', 'timezone: the warehouse does not know it', {
      cause,
      faults: [{ pointer: '/timezone', detail: 'the warehouse does not know it' }],
    });
  if (code === 'rejected')
    return new Problem('internal-error', 'the warehouse refused the statement', { cause });
  return new Problem('warehouse-unavailable', 'the warehouse cannot be asked right now', { cause });
}
