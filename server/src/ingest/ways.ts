import type { IncomingMessage } from 'node:http';
import type { Keys } from '../access/keys.ts';
import { BATCH_LIMITS, EVENT_BYTES_MAX } from '../event/limits.ts';
import { Problem } from '../http/problems.ts';
import type { RawAnswer, RawHandler } from '../http/request-listener.ts';
import { SECURITY_HEADERS } from '../http/security-headers.ts';
import { type Body, readBody } from './body.ts';
import type { BodyBudget } from './body-budget.ts';
import type { BatchResult, Ingest } from './ingest.ts';
import { LARGE_BODY_BYTES, LargeBodies } from './large-bodies.ts';
import { LargeWork } from './large-work.ts';
import { watchLines } from './parse.ts';

export interface IngestWaysOptions {
  readonly ingest: Ingest;
  readonly keys: Keys;
  readonly budget: BodyBudget;
}

const ANSWER_HEADERS = Object.entries({
  ...SECURITY_HEADERS,
  'content-type': 'application/json; charset=utf-8',
}).flat();

const JSON_TYPE = 'application/json';
const NDJSON_TYPE = 'application/x-ndjson';
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;
const ACCEPTED_ONE = rawAnswer(200, '{"accepted":1}');

/** A body up to this many bytes is cheaper to read than to ask about. */
const ASKED_BYTES_MIN = 4 * 1_024;

/**
 * The handlers of posts, by path. Each refuses as early as it can: what the headers tell, and whether the events could be
 * stored at all, before it reads a byte of the body.
 */
export function ingestWays({ ingest, keys, budget }: IngestWaysOptions): ReadonlyMap<string, RawHandler> {
  const { bytesMax } = BATCH_LIMITS;
  const large = new LargeBodies();
  const work = new LargeWork();

  const event: RawHandler = async (request, proceed) => {
    keys.check('write', request.headers.authorization);
    mediaType(request, [JSON_TYPE]);
    checkRoom(ingest, request, EVENT_BYTES_MAX);
    const body = await readBody(request, { bytesMax: EVENT_BYTES_MAX, budget, large, work, proceed });
    work.small();
    return settle(
      body,
      () => ingest.event(body.bytes),
      () => ACCEPTED_ONE,
    );
  };

  const events: RawHandler = async (request, proceed) => {
    keys.check('write', request.headers.authorization);
    const ndjson = mediaType(request, [JSON_TYPE, NDJSON_TYPE]) === NDJSON_TYPE;
    checkRoom(ingest, request, bytesMax);
    const body = await readBody(request, {
      bytesMax,
      budget,
      large,
      work,
      // A body that waited for its turn may find the journal full.
      proceed: () => (checkRoom(ingest, request, bytesMax), proceed()),
      ...(ndjson ? { watch: watchLines() } : {}),
    });
    const store = () => ingest.batch(body.bytes, ndjson);
    if (body.bytes.length > LARGE_BODY_BYTES) return settle(body, () => work.run(store), batchAnswer);
    work.small();
    return settle(body, store, batchAnswer);
  };

  return new Map([
    ['/analytics/event', event],
    ['/analytics/events', events],
  ]);
}

/** The answer to what comes of the work on a body, which is released then. */
function settle<T>(body: Body, work: () => Promise<T>, answer: (result: T) => RawAnswer): Promise<RawAnswer> {
  const { release } = body;
  const fail = (error: unknown) => {
    release();
    throw error;
  };
  let done: Promise<T>;
  try {
    done = work();
  } catch (error) {
    return fail(error);
  }
  return done.then((result) => {
    release();
    return answer(result);
  }, fail);
}

/**
 * Refuses a body that the transport would refuse, unread. What the events will take there is not known: at least half of
 * what was sent is assumed. One that can never fit is not refused here: to try it again would be in vain.
 */
function checkRoom(ingest: Ingest, { headers }: IncomingMessage, bytesMax: number): void {
  const length = headers['content-length'];
  const bytes = Number(length ?? 0);
  if (length !== undefined && bytes <= ASKED_BYTES_MIN) return;
  if (bytes > bytesMax) return;
  const problem = ingest.refusal(bytes / 2);
  if (problem !== undefined) throw problem;
}

function batchAnswer({ accepted, rejected, rejectedTotal }: BatchResult): RawAnswer {
  if (rejectedTotal === 0) return rawAnswer(200, JSON.stringify({ accepted }));
  return rawAnswer(207, JSON.stringify({ accepted, rejected, rejected_total: rejectedTotal }));
}

function rawAnswer(status: number, body: string): RawAnswer {
  return { status, headers: [...ANSWER_HEADERS, 'content-length', String(Buffer.byteLength(body))], body };
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
    headers: { 'accept-post': types.join(', ') },
  });
}
