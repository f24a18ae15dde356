import type { IncomingMessage } from 'node:http';
import type { Keys } from '../access/keys.ts';
import { BATCH_LIMITS, EVENT_BYTES_MAX } from '../event/limits.ts';
import { Problem } from '../http/problems.ts';
import { type BodyBudget, readBody } from './body.ts';
import type { BatchResult, Ingest } from './ingest.ts';
import { watchLines } from './parse.ts';

export interface IngestWaysOptions {
  readonly ingest: Ingest;
  readonly keys: Keys;
  readonly budget: BodyBudget;
}

/** What a way in answers when something was stored. */
export interface Answer {
  readonly status: 200 | 207;
  /** JSON. */
  readonly body: string;
}

/** Takes one request in, from its headers to the durable answer. @throws Problem */
export type Take = (request: IncomingMessage) => Promise<Answer>;

/** The headers of every answer. */
export const ANSWER_HEADERS = { 'content-type': 'application/json; charset=utf-8' } as const;

const JSON_TYPE = 'application/json';
const NDJSON_TYPE = 'application/x-ndjson';
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;
const ACCEPTED_ONE: Answer = { status: 200, body: '{"accepted":1}' };

/** The ways in, by path; each is a POST. They read the request themselves, whichever server it came through. */
export function ingestWays({ ingest, keys, budget }: IngestWaysOptions): ReadonlyMap<string, Take> {
  const { bytesMax } = BATCH_LIMITS;

  const event: Take = async (request) => {
    keys.check('write', request.headers.authorization);
    mediaType(request, [JSON_TYPE]);
    const body = readBody(request, request.headers, { bytesMax: EVENT_BYTES_MAX, budget });
    return body.then((bytes) => ingest.event(bytes)).then(() => ACCEPTED_ONE);
  };

  const events: Take = async (request) => {
    keys.check('write', request.headers.authorization);
    const ndjson = mediaType(request, [JSON_TYPE, NDJSON_TYPE]) === NDJSON_TYPE;
    const limits = ndjson ? { bytesMax, budget, watch: watchLines() } : { bytesMax, budget };
    return readBody(request, request.headers, limits)
      .then((bytes) => ingest.batch(bytes, ndjson))
      .then(batchAnswer);
  };

  return new Map([
    ['/analytics/event', event],
    ['/analytics/events', events],
  ]);
}

function batchAnswer({ accepted, rejected, rejectedTotal }: BatchResult): Answer {
  if (rejectedTotal === 0) return { status: 200, body: JSON.stringify({ accepted }) };
  return { status: 207, body: JSON.stringify({ accepted, rejected, rejected_total: rejectedTotal }) };
}

/** The request's media type; every other is refused before the body is read. */
function mediaType(request: IncomingMessage, types: readonly string[]): string {
  const header = request.headers['content-type'] ?? '';
  const type = header === JSON_TYPE ? header : header.split(';', 1)[0]!.trim().toLowerCase();
  const charset = type === header ? undefined : CHARSET.exec(header)?.[1];
  const known = types.includes(type);
  if (known && (charset === undefined || /^utf-?8$/i.test(charset))) return type;
  const wrong = known ? 'charset must be utf-8, or absent' : `must be ${types.join(' or ')}`;
  throw new Problem('unsupported-media-type', `Content-Type: ${wrong}`, {
    headers: { 'accept-post': types.join(', '), connection: 'close' },
  });
}
