import type { EventLines } from '../event/lines.ts';
import { StoreError } from '../event/store-error.ts';
import type { ForwardingPublisher } from '../transport/contract.ts';
import type { DeadLetter, InsertBatch, InsertResult, Sink } from '../warehouse/contract.ts';

/** Events that are published at a time, so that a large batch of the loader does not meet the publisher's limits. */
const EVENTS_MAX = 5_000;

/**
 * The way from the journal on to another transport (store and forward): what the loader takes out of the journal is
 * published, and acknowledged when the broker has it. A crash in between publishes it again; the events keep their
 * event_id, so nothing is counted twice. What the broker refuses for good is searched for by halving and becomes a dead
 * letter; only publishing can tell, so that is how it is searched.
 */
export class Forwarder implements Sink {
  readonly #publisher: ForwardingPublisher;

  constructor(publisher: ForwardingPublisher) {
    this.#publisher = publisher;
  }

  open(): Promise<void> {
    return this.#publisher.open();
  }

  async insert({ lines, deadLetters }: InsertBatch): Promise<InsertResult> {
    const refused: DeadLetter[] = [];
    for (const piece of lines.pieces(EVENTS_MAX)) await this.#publish(piece, refused);
    await this.#publisher.publishDeadLetters([...deadLetters, ...refused]);
    return { inserted: lines.count - refused.length, duplicates: 0, deadLetters: refused };
  }

  async #publish(lines: EventLines, refused: DeadLetter[]): Promise<void> {
    try {
      await this.#publisher.publish(lines);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'rejected') throw error;
      if (lines.count === 1) {
        refused.push({ reason: 'rejected', detail: error.message, body: lines.toArray()[0]! });
        return;
      }
      for (const half of lines.pieces(Math.ceil(lines.count / 2))) await this.#publish(half, refused);
    }
  }

  /** Never refuses: `insert` gives up what the broker refuses by itself. */
  check(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#publisher.close();
  }
}
