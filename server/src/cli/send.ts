import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../event/strict-json.ts';
import { printable } from '../printable.ts';

/** Tries for one batch while the server says that it cannot take it right now. */
const TRIES_MAX = 60;

/** The longest wait between two of them, in seconds, whatever the server asks for. */
const RETRY_AFTER_MAX = 60;

export interface Target {
  readonly url: string;
  readonly key: string | undefined;
}

/** What the server says of a batch. */
export interface SendResult {
  readonly accepted: number;
  readonly rejected: readonly {
    readonly index: number;
    readonly errors: readonly { detail: string; pointer: string }[];
  }[];
  readonly rejected_total: number;
}

/**
 * Sends lines of NDJSON as one batch and waits until they are durable. An answer that may be tried again is, after
 * the time it names. @throws Error when the server refuses for good or does not come back
 */
export async function sendBatch({ url, key }: Target, lines: readonly string[]): Promise<SendResult> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(new URL('/analytics/events', url), {
      method: 'POST',
      headers: {
        'content-type': 'application/x-ndjson',
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      body: lines.join('\n'),
    });
    const body = await readAnswer(response);
    if ((response.ok && Number.isInteger(body.accepted)) || body.code === 'invalid-batch') {
      return {
        accepted: body.accepted ?? 0,
        rejected: body.rejected ?? [],
        rejected_total: body.rejected_total ?? 0,
      };
    }
    const retryAfter = Math.min(Number(response.headers.get('retry-after')), RETRY_AFTER_MAX);
    if (!(retryAfter > 0) || attempt === TRIES_MAX)
      throw new Error(
        `${url}: ${response.status} ${printable(typeof body.detail === 'string' ? body.detail : '')}`,
      );
    await sleep(retryAfter * 1_000);
  }
}

/** The longest answer that is read: that to a batch names at most a hundred events. */
const ANSWER_BYTES_MAX = 4 * 1_024 * 1_024;

/** Any server may stand at the address, or a proxy before it: an answer that is none of ours is one without a detail. */
async function readAnswer(
  response: Response,
): Promise<Partial<SendResult> & { readonly code?: unknown; readonly detail?: unknown }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) return NO_ANSWER;
    chunks.push(chunk);
  }
  try {
    const body: unknown = parseJson(Buffer.concat(chunks).toString('utf8'));
    return typeof body === 'object' && body !== null ? body : NO_ANSWER;
  } catch {
    return NO_ANSWER;
  }
}

const NO_ANSWER = { detail: 'the answer is not one of Daybook' };
