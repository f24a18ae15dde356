import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../event/strict-json.ts';

/** Tries for one batch while the server says that it cannot take it right now. */
const TRIES_MAX = 60;

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
    const body = parseJson(await response.text()) as Partial<SendResult> & { code?: string; detail?: string };
    if (response.ok || body.code === 'invalid-batch') {
      return {
        accepted: body.accepted ?? 0,
        rejected: body.rejected ?? [],
        rejected_total: body.rejected_total ?? 0,
      };
    }
    const retryAfter = Number(response.headers.get('retry-after'));
    if (!(retryAfter > 0) || attempt === TRIES_MAX)
      throw new Error(`${url}: ${response.status} ${body.detail ?? ''}`);
    await sleep(retryAfter * 1_000);
  }
}
