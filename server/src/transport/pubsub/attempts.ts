import { setTimeout as sleep } from 'node:timers/promises';
import { StoreError } from '../../event/store-error.ts';
import type { PubsubMessage, PubsubTopic } from './client.ts';
import { pubsubError } from './errors.ts';

const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 1_000;

interface Failed {
  readonly message: PubsubMessage;
  readonly error: StoreError;
}

/**
 * Publishes messages, again those that failed in passing, until all are acknowledged, one fails for good, or the time is up
 * (on the monotonic clock, in milliseconds). Rejects with `timeout` when anything of it may be stored: a part was
 * acknowledged, or an attempt ended without an answer.
 */
export async function publishAll(
  topic: PubsubTopic,
  messages: readonly PubsubMessage[],
  deadlineMs: number,
): Promise<void> {
  let left = messages;
  let unsure = false;
  for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs)) {
    const failed = await attempt(topic, left);
    if (failed.length === 0) return;
    const { error } = failed.find((one) => !passes(one)) ?? failed[0]!;
    unsure ||= failed.length < messages.length || failed.some(passes);
    if (!failed.every(passes) || performance.now() + pauseMs > deadlineMs) {
      throw unsure ? new StoreError('timeout', error.message, { cause: error }) : error;
    }
    await sleep(pauseMs);
    left = failed.map(({ message }) => message);
  }
}

/** Whether the same message may get through a moment later. */
function passes({ error }: Failed): boolean {
  return error.code === 'timeout';
}

/** One try of every message; those that failed. */
function attempt(topic: PubsubTopic, messages: readonly PubsubMessage[]): Promise<readonly Failed[]> {
  return new Promise((resolve) => {
    const failed: Failed[] = [];
    let left = messages.length;
    for (const message of messages) {
      topic.publishMessage(message, (error) => {
        if (error !== null && error !== undefined)
          failed.push({ message, error: pubsubError(error, topic.name) });
        left -= 1;
        if (left === 0) resolve(failed);
      });
    }
  });
}

/** The same result, or `timeout` when it does not come in time; what comes later is nobody's. */
export function within(work: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new StoreError('timeout', 'pubsub: the broker did not answer in time')),
      ms,
    );
    work.then(resolve, reject).finally(() => clearTimeout(late));
  });
}
