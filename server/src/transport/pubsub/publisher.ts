import type { EventLines } from '../../event/lines.ts';
import { StoreError } from '../../event/store-error.ts';
import type { ForwardingPublisher, PublisherLimits, PublisherStats } from '../contract.ts';
import {
  makePubsubClient,
  type PubsubClient,
  type PubsubMessage,
  type PubsubTopic,
  type TopicOptions,
} from './client.ts';
import { publishAll, within } from './attempts.ts';
import { encodeMessage } from './message.ts';
import { pubsubNames } from './names.ts';

/** Attribute with the reason of a dead letter; the name that Pub/Sub itself gives it. */
const REASON_ATTRIBUTE = 'CloudPubSubDeadLetterSourceDeliveryErrorMessage';

/** What is kept of a dead letter: well within a message's 10 MB, and an attribute's 1,024 bytes in any script. */
const DEAD_LETTER_BYTES_MAX = 1_024 * 1_024;
const REASON_CHARS_MAX = 250;

/** Fields that are left out of messages for now, because what stores them would refuse the message. */
export interface PublishedFields {
  readonly omitted: ReadonlySet<string>;
  open(): Promise<void>;
  close(): void;
}

export interface PubsubPublisherOptions {
  readonly projectId: string;
  readonly topic: string;
  readonly limits: PublisherLimits;
  /** Events that may be on their way at the same time. */
  readonly eventsMax: number;
  /** Longest time until a publish settles, retries included, in milliseconds. */
  readonly timeoutMs: number;
  /** Which fields the table has no column for. Default: none. */
  readonly fields?: PublishedFields;
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

  async open(): Promise<void> {
    const { projectId, topic, timeoutMs, makeClient, fields } = this.#options;
    const client = makeClient === undefined ? makePubsubClient(projectId) : makeClient();
    const options = topicOptions(timeoutMs);
    this.#opened = {
      client,
      topic: client.topic(topic, options),
      deadLetters: client.topic(pubsubNames(topic).deadLetterTopic, options),
    };
    await fields?.open();
  }

  async publish(lines: EventLines): Promise<void> {
    const { topic } = this.#use();
    this.#admit(lines.count);
    const omitted = this.#options.fields?.omitted;
    const messages = lines.toArray().map((line) => ({ data: encodeMessage(line, omitted) }));
    await this.#send(topic, messages);
  }

  /** Sends to the topic of dead letters, each with its reason, as Pub/Sub itself does what it cannot deliver. */
  async publishDeadLetters(
    letters: readonly { readonly detail: string; readonly body: string }[],
  ): Promise<void> {
    const { deadLetters } = this.#use();
    const messages = letters.map(({ detail, body }) => ({
      data: Buffer.from(body).subarray(0, DEAD_LETTER_BYTES_MAX),
      attributes: { [REASON_ATTRIBUTE]: detail.slice(0, REASON_CHARS_MAX) },
    }));
    await this.#send(deadLetters, messages);
  }

  #admit(events: number): void {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    // A batch that is larger than the limit alone goes when nothing else is on its way.
    if (this.#events > 0 && this.#events + events > this.#options.eventsMax)
      throw full(`${this.#events} events are on their way`);
  }

  refusal(): StoreError | undefined {
    if (this.#opened === undefined) return closed();
    const { waitingMax, bytesMax } = this.limits;
    if (this.#waiting >= waitingMax) return full(`${this.#waiting} requests are waiting already`);
    if (this.#events >= this.#options.eventsMax) return full(`${this.#events} events are on their way`);
    return this.#bytes >= bytesMax ? full(`${this.#bytes} bytes are on their way`) : undefined;
  }

  /** Gives the messages to the client, which batches them, until all are acknowledged or the time is up. */
  async #send(topic: PubsubTopic, messages: readonly PubsubMessage[]): Promise<void> {
    if (messages.length === 0) return;
    let bytes = 0;
    for (const { data } of messages) bytes += data.length;
    this.#waiting += 1;
    this.#events += messages.length;
    this.#bytes += bytes;
    const { timeoutMs } = this.#options;
    const sent = publishAll(topic, messages, performance.now() + timeoutMs).finally(() => {
      this.#events -= messages.length;
      this.#bytes -= bytes;
    });
    try {
      await within(sent, timeoutMs + DEADLINE_SLACK_MS);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#idle?.();
    }
  }

  stats(): PublisherStats {
    return { events: this.#events, bytes: this.#bytes, waiting: this.#waiting };
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    this.#opened = undefined;
    this.#options.fields?.close();
    // The client's flush() waits for the request in hand only; what counts is that every promise given out has settled,
    // which takes no longer than their deadline.
    const flushed = opened.topic.flush().catch(() => undefined);
    if (this.#waiting > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await flushed;
    await opened.client.close();
  }

  #use(): Opened {
    if (this.#opened === undefined) throw closed();
    return this.#opened;
  }
}

function closed(): StoreError {
  return new StoreError('closed', 'pubsub: closed');
}

function full(why: string): StoreError {
  return new StoreError('unavailable', `pubsub: ${why}`);
}

/**
 * One attempt at a time, the client's own retries off: it reports the last attempt's error alone, and whether an earlier
 * one may have reached the broker decides what the client hears.
 */
function topicOptions(timeoutMs: number): TopicOptions {
  return { batching: BATCHING, gaxOpts: { timeout: timeoutMs, retry: { retryCodes: [] } } };
}
