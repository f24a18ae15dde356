import { setTimeout as sleep } from 'node:timers/promises';
import { PubSub, v1 } from '@google-cloud/pubsub';
import { mapMessage, type Cell, type Column, type MappingOptions, type Message } from './message-mapping.ts';

/*
 * TEST STAND-IN, not Google's code: what a BigQuery subscription does, between Google's own Pub/Sub fake and a
 * BigQuery emulator. It pulls, maps by the documented rules (message-mapping.ts), inserts, acknowledges; what fails
 * goes to the dead-letter topic. Delivery is at least once. It shows nothing about the real service's speed or IAM.
 */

/** The gRPC status. */
const ALREADY_EXISTS = 6;
/** Messages of one pull: unary pulls of 1,000 are far faster here than a stream. */
const MESSAGES_MAX = 1_000;
const ACK_DEADLINE_SECONDS = 60;
const IDLE_MS = 20;
/** How long to wait while BigQuery does not answer; such a failure is no delivery attempt here. */
const UNAVAILABLE_MS = 200;

export interface SubscriptionOptions extends MappingOptions {
  readonly pubsub: { readonly host: string; readonly projectId: string };
  readonly bigquery: { readonly apiEndpoint: string; readonly projectId: string };
  /** Short names; the topics must exist, the Pub/Sub subscription is made when it does not. */
  readonly topic: string;
  readonly name: string;
  readonly dataset: string;
  readonly table: string;
  readonly deadLetterTopic?: string;
  /** 5 to 100. @default 5 */
  readonly maxDeliveryAttempts?: number;
}

export interface Delivered {
  readonly rows: number;
  readonly deadLetters: number;
  /** Why messages failed, one entry an attempt. */
  readonly failures: readonly string[];
}

export interface TestSubscription {
  readonly name: string;
  delivered(): Delivered;
  /** Resolves when two pulls in a row brought nothing: all that was published before is delivered. */
  drained(): Promise<void>;
  stop(): Promise<void>;
}

interface Clients {
  readonly subscriber: v1.SubscriberClient;
  readonly publisher: v1.PublisherClient;
}

interface Received {
  readonly ackId: string;
  readonly message: Message;
}

/** Starts delivering a topic into a table. */
export async function startSubscription(options: SubscriptionOptions): Promise<TestSubscription> {
  const { pubsub } = options;
  const client = new PubSub({ projectId: pubsub.projectId, apiEndpoint: pubsub.host, emulatorMode: true });
  // The low-level clients reach the emulator with the configuration that the high-level one works out.
  const config = (await client.getClientConfig()) as ConstructorParameters<typeof v1.SubscriberClient>[0];
  const parts = { subscriber: new v1.SubscriberClient(config), publisher: new v1.PublisherClient(config) };
  const delivery = new Delivery(options, parts);
  await delivery.create();
  const running = delivery.run();
  return {
    name: delivery.subscription,
    delivered: () => ({ ...delivery.counts, failures: [...delivery.failures] }),
    drained: () => delivery.drained(),
    stop: async () => {
      delivery.stopped = true;
      await running;
      await Promise.all([parts.subscriber.close(), parts.publisher.close(), client.close()]);
    },
  };
}

class Delivery {
  readonly subscription: string;
  readonly counts = { rows: 0, deadLetters: 0 };
  readonly failures: string[] = [];
  stopped = false;
  private readonly attempts = new Map<string, number>();
  private emptyPulls = 0;
  private readonly options: SubscriptionOptions;
  private readonly clients: Clients;

  constructor(options: SubscriptionOptions, clients: Clients) {
    this.options = options;
    this.clients = clients;
    this.subscription = `projects/${options.pubsub.projectId}/subscriptions/${options.name}`;
  }

  async create(): Promise<void> {
    const topic = this.topicOf(this.options.topic);
    try {
      await this.clients.subscriber.createSubscription({
        name: this.subscription,
        topic,
        ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
      });
    } catch (error) {
      if ((error as { code?: number }).code !== ALREADY_EXISTS) throw error;
    }
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      try {
        const received = await this.pull();
        this.emptyPulls = received.length === 0 ? this.emptyPulls + 1 : 0;
        if (received.length === 0) await sleep(IDLE_MS);
        else await this.deliver(received);
      } catch (error) {
        // Pub/Sub or BigQuery is away: nothing was acknowledged, all of it comes again.
        this.emptyPulls = 0;
        this.failures.push((error as Error).message);
        await sleep(UNAVAILABLE_MS);
      }
    }
  }

  async drained(): Promise<void> {
    this.emptyPulls = 0;
    while (this.emptyPulls < 2 && !this.stopped) await sleep(IDLE_MS);
  }

  private topicOf(name: string): string {
    return `projects/${this.options.pubsub.projectId}/topics/${name}`;
  }

  private async pull(): Promise<Received[]> {
    const [answer] = await this.clients.subscriber.pull({
      subscription: this.subscription,
      maxMessages: MESSAGES_MAX,
      returnImmediately: true,
    });
    return (answer.receivedMessages ?? []).map(({ ackId, message }) => ({
      ackId: ackId!,
      message: {
        messageId: message!.messageId!,
        data: Buffer.from((message!.data ?? '') as Uint8Array).toString(),
        attributes: { ...message!.attributes },
        publishTime: timeOf(message!.publishTime!),
      },
    }));
  }

  private async deliver(received: readonly Received[]): Promise<void> {
    try {
      const schema = await this.schema();
      const rows: { insertId: string; json: Record<string, Cell> }[] = [];
      const done: string[] = [];
      for (const { ackId, message } of received) {
        const mapped = mapMessage(message, schema, { ...this.options, subscription: this.subscription });
        if ('refused' in mapped) await this.fail(ackId, message, mapped.refused);
        else {
          rows.push({ insertId: message.messageId, json: mapped.row });
          done.push(ackId);
        }
      }
      await this.insert(rows);
      if (done.length > 0) {
        await this.clients.subscriber.acknowledge({ subscription: this.subscription, ackIds: done });
      }
    } catch (error) {
      await this.nack(received.map(({ ackId }) => ackId));
      throw error;
    }
  }

  private async fail(ackId: string, message: Message, reason: string): Promise<void> {
    const attempt = (this.attempts.get(message.messageId) ?? 0) + 1;
    this.attempts.set(message.messageId, attempt);
    this.failures.push(reason);
    const { deadLetterTopic, maxDeliveryAttempts = 5 } = this.options;
    if (deadLetterTopic === undefined || attempt < maxDeliveryAttempts) return this.nack([ackId]);
    const attributes = { ...message.attributes, ...this.deadLetterAttributes(message, attempt, reason) };
    const messages = [{ data: Buffer.from(message.data), attributes }];
    await this.clients.publisher.publish({ topic: this.topicOf(deadLetterTopic), messages });
    await this.clients.subscriber.acknowledge({ subscription: this.subscription, ackIds: [ackId] });
    this.counts.deadLetters += 1;
    this.attempts.delete(message.messageId);
  }

  /** https://cloud.google.com/pubsub/docs/handling-failures and, for the error's message, /docs/bigquery. */
  private deadLetterAttributes(message: Message, attempt: number, reason: string): Record<string, string> {
    return {
      CloudPubSubDeadLetterSourceDeliveryCount: String(attempt),
      CloudPubSubDeadLetterSourceSubscription: this.options.name,
      CloudPubSubDeadLetterSourceSubscriptionProject: this.options.pubsub.projectId,
      CloudPubSubDeadLetterSourceTopicPublishTime: message.publishTime,
      CloudPubSubDeadLetterSourceDeliveryErrorMessage: reason,
    };
  }

  private async nack(ackIds: readonly string[]): Promise<void> {
    await this.clients.subscriber.modifyAckDeadline({
      subscription: this.subscription,
      ackIds: [...ackIds],
      ackDeadlineSeconds: 0,
    });
  }

  /** Read anew for each batch: a column that was added is written to at once. (The real service takes a while.) */
  private async schema(): Promise<readonly Column[]> {
    const table = (await this.call('GET', '')) as { schema: { fields: Column[] } };
    return table.schema.fields;
  }

  private async insert(rows: readonly { insertId: string; json: Record<string, Cell> }[]): Promise<void> {
    if (rows.length === 0) return;
    const answer = (await this.call('POST', '/insertAll', { rows })) as { insertErrors?: object[] };
    if (answer.insertErrors !== undefined && answer.insertErrors.length > 0) {
      throw new Error(`the emulator refused rows: ${JSON.stringify(answer.insertErrors[0])}`);
    }
    this.counts.rows += rows.length;
  }

  private async call(method: string, path: string, body?: object): Promise<unknown> {
    const { bigquery, dataset, table } = this.options;
    const base = `${bigquery.apiEndpoint}/bigquery/v2/projects/${bigquery.projectId}`;
    const answer = await fetch(`${base}/datasets/${dataset}/tables/${table}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${table}: BigQuery answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  }
}

function timeOf({ seconds, nanos }: { seconds?: unknown; nanos?: number | null }): string {
  const whole = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);
  return `${whole}.${String(Math.floor((nanos ?? 0) / 1_000)).padStart(6, '0')}Z`;
}
