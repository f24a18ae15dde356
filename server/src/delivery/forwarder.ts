import type { EventLines } from '../event/lines.ts';
import type { ForwardingPublisher } from '../transport/contract.ts';
import type { InsertBatch, InsertResult, Sink } from '../warehouse/contract.ts';

/** Events that are published at a time, so that a large batch of the loader does not meet the publisher's limits. */
const EVENTS_MAX = 5_000;

/**
 * The way from the journal on to another transport (store and forward): what the loader takes out of the journal is
 * published, and acknowledged when the broker has it. A crash in between publishes it again; the events keep their
 * event_id, so nothing is counted twice.
 */
export class Forwarder implements Sink {
  readonly #publisher: ForwardingPublisher;

  constructor(publisher: ForwardingPublisher) {
    this.#publisher = publisher;
  }

  open(): Promise<void> {
    return this.#publisher.open();
  }

  async insert({ lines: batch, deadLetters }: InsertBatch): Promise<InsertResult> {
    const lines = batch.toArray();
    await this.#publisher.publishDeadLetters(deadLetters);
    for (let from = 0; from < lines.length; from += EVENTS_MAX) {
      await this.#publisher.publish(lines.slice(from, from + EVENTS_MAX));
    }
    return { inserted: lines.length, duplicates: 0 };
  }

  check(lines: EventLines): Promise<void> {
    return this.#publisher.check(lines.toArray());
  }

  close(): Promise<void> {
    return this.#publisher.close();
  }
}
