import type { EventLine } from '../../event/line.ts';
import { StoreError } from '../../event/store-error.ts';
import type { ForwardingPublisher, PublisherLimits, PublisherStats } from '../contract.ts';
import { makePubsubClient, type PubsubClient, type PubsubTopic, type TopicOptions } from './client.ts';
import { pubsubError } from './errors.ts';
import { encodeMessage } from './message.ts';
import { pubsubNames } from './names.ts';

/** Attribute with the reason of a dead letter; the name that Pub/Sub itself gives it. */
const REASON_ATTRIBUTE = 'CloudPubSubDeadLetterSourceDeliveryErrorMessage';

export interface PubsubPublisherOptions {
  readonly projectId: string;
  readonly topic: string;
  readonly limits: PublisherLimits;
  /** Events that may be on their way at the same time. */
  readonly eventsMax: number;
  /** Longest time until a publish settles, retries included, in milliseconds. */
  readonly timeoutMs: number;
  /** For tests. Default: Google's client. */
  readonly makeClient?: () => PubsubClient;
}

/**
 * One request to the broker carries up to so many messages, and waits for more of them no longer than this. Measured over
 * HTTP against a broker on the same machine (`node bench/run.ts pubsub`): single events on 64 connections 16,900 a second
 * with 1 ms, 8,300 with 5 ms, 4,500 with the client's default of 10 ms; batches of 100 events 81,000 a second with 1,000
 * messages a request, 73,000 with the default of 100. The broker's limits are 1,000 messages and 10 MB.
 * https://cloud.google.com/pubsub/quotas
 */
const BATCHING = { maxMessages: 1_000, maxBytes: 4 * 1_024 * 1_024, maxMilliseconds: 1 } as const;

/** How much longer than the client's own deadline a publish may take before it is given up here, in milliseconds. */
const DEADLINE_SLACK_MS = 500;

interface Opened {
  readonly client: PubsubClient;
  readonly topic: PubsubTopic;
  readonly deadLetters: PubsubTopic;
}

/**
 * Publishes events to a Pub/Sub topic: one client, one topic object, requests shared by all batches that arrive
 * meanwhile. Resolves when the broker has acknowledged every event. The client's own flow control is not used, since it
 * waits without a bound; what is on its way is counted here and refused beyond the limits.
 *
 * `timeout` says that the broker did not answer in time or that the connection broke: some events of the batch
 * may be stored. Events are identified by their event_id, so sending them again counts nothing twice.
 */
export class PubsubPublisher implements ForwardingPublisher {
  readonly name = 'pubsub';
  readonly limits: PublisherLimits;
  readonly #options: PubsubPublisherOptions;
  #opened: Opened | undefined;
  #events = 0;
  #bytes = 0;
  #waiting = 0;
  #idle: (() => void) | undefined;

  constructor(options: PubsubPublisherOptions) {
    this.#options = options;
    this.limits = options.limits;
  }

  open(): Promise<void> {
    const { projectId, topic, timeoutMs, makeClient } = this.#options;
    const client = makeClient === undefined ? makePubsubClient(projectId) : makeClient();
    const options = topicOptions(timeoutMs);
    this.#opened = {
      client,
      topic: client.topic(topic, options),
      deadLetters: client.topic(pubsubNames(topic).deadLetterTopic, options),
    };
    return Promise.resolve();
  }

  async publish(lines: readonly EventLine[]): Promise<void> {
    const { topic } = this.#use();
    this.#admit(lines.length);
    const messages = lines.map((line) => ({ data: encodeMessage(line) }));
    await this.#send(topic, messages);
  }

  async check(lines: readonly EventLine[]): Promise<void> {
    this.#use();
    for (const line of lines) encodeMessage(line);
    await Promise.resolve();
  }

  /** Sends to the topic of dead letters, each with its reason, as Pub/Sub itself does what it cannot deliver. */
  async publishDeadLetters(
    letters: readonly { readonly detail: string; readonly body: string }[],
  ): Promise<void> {
    const { deadLetters } = this.#use();
    const messages = letters.map(({ detail, body }) => ({
      data: Buffer.from(body),
      attributes: { [REASON_ATTRIBUTE]: detail },
    }));
    await this.#send(deadLetters, messages);
  }

  #admit(events: number): void {
    const { waitingMax, bytesMax } = this.limits;
    const { eventsMax } = this.#options;
    if (this.#waiting >= waitingMax) throw full(`${this.#waiting} requests are waiting already`);
    // A batch that is larger than the limit alone goes when nothing else is on its way.
    if (this.#events > 0 && this.#events + events > eventsMax)
      throw full(`${this.#events} events are on their way`);
    if (this.#bytes >= bytesMax) throw full(`${this.#bytes} bytes are on their way`);
  }

  /** Gives the messages to the client, which batches them; settles when all of them have. */
  #send(
    topic: PubsubTopic,
    messages: readonly Parameters<PubsubTopic['publishMessage']>[0][],
  ): Promise<void> {
    if (messages.length === 0) return Promise.resolve();
    let bytes = 0;
    for (const { data } of messages) bytes += data.length;
    this.#waiting += 1;
    this.#events += messages.length;
    this.#bytes += bytes;
    let left = messages.length;
    let stored = 0;
    let failure: unknown;
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(
        () => reject(new StoreError('timeout', 'pubsub: the broker did not answer in time')),
        this.#options.timeoutMs + DEADLINE_SLACK_MS,
      );
      const settled = (error?: Error | null) => {
        failure ??= error;
        if (error === undefined || error === null) stored += 1;
        left -= 1;
        if (left > 0) return;
        clearTimeout(deadline);
        this.#done(messages.length, bytes);
        if (stored === messages.length) resolve();
        else reject(stored === 0 ? pubsubError(failure) : partly(failure));
      };
      for (const message of messages) topic.publishMessage(message, settled);
    });
  }

  #done(events: number, bytes: number): void {
    this.#waiting -= 1;
    this.#events -= events;
    this.#bytes -= bytes;
    if (this.#waiting === 0) this.#idle?.();
  }

  stats(): PublisherStats {
    return { events: this.#events, bytes: this.#bytes, waiting: this.#waiting };
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    this.#opened = undefined;
    // The client's flush() waits for the request in hand only; what counts is that every promise has settled.
    const flushed = opened.topic.flush().catch(() => undefined);
    if (this.#waiting > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await flushed;
    await opened.client.close();
  }

  #use(): Opened {
    if (this.#opened === undefined) throw new StoreError('closed', 'pubsub: closed');
    return this.#opened;
  }
}

/** Some events of a batch are stored and some are not, which is what `timeout` says. */
function partly(failure: unknown): StoreError {
  return new StoreError('timeout', `pubsub: stored in part: ${pubsubError(failure).message}`, {
    cause: failure,
  });
}

function full(why: string): StoreError {
  return new StoreError('unavailable', `pubsub: ${why}`);
}

/**
 * The client retries UNAVAILABLE and the like with growing pauses, by default for ten minutes; here for as long as a
 * request may wait. https://googleapis.github.io/gax-nodejs/interfaces/RetryOptions.html
 */
function topicOptions(timeoutMs: number): TopicOptions {
  return {
    batching: BATCHING,
    gaxOpts: {
      timeout: timeoutMs,
      retry: {
        retryCodes: [1, 2, 4, 10, 13, 14],
        backoffSettings: {
          initialRetryDelayMillis: 100,
          retryDelayMultiplier: 2,
          maxRetryDelayMillis: 1_000,
          initialRpcTimeoutMillis: timeoutMs,
          rpcTimeoutMultiplier: 1,
          maxRpcTimeoutMillis: timeoutMs,
          totalTimeoutMillis: timeoutMs,
        },
      },
    },
  };
}
