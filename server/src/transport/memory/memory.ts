import { randomUUID } from 'node:crypto';
import { EventLines, firstLine } from '../../event/lines.ts';
import type { Position } from '../../event/position.ts';
import { StoreError } from '../../event/store-error.ts';
import { parseJson } from '../../event/strict-json.ts';
import type {
  Delivery,
  Publisher,
  PublisherLimits,
  PublisherStats,
  ReceiveOptions,
  Source,
} from '../contract.ts';

/**
 * A transport that lives in memory, for tests: the same contract without durability. One object is both
 * ends.
 */
export class MemoryTransport implements Publisher, Source {
  readonly name = 'memory';
  readonly limits: PublisherLimits;
  readonly #source = randomUUID();
  readonly #queue: { readonly end: number; readonly lines: EventLines; readonly bytes: number }[] = [];
  #end = 0;
  #next = 0;
  #open = false;

  constructor(limits: PublisherLimits) {
    this.limits = limits;
  }

  open(stored: readonly Position[] = []): Promise<void> {
    this.#open = true;
    this.#next = stored.find((position) => position.source === this.#source)?.end ?? this.#next;
    return Promise.resolve();
  }

  publish(lines: EventLines): Promise<void> {
    const bytes = lines.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const refusal = this.refusal(bytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#end += lines.count;
    this.#queue.push({ end: this.#end, lines, bytes });
    return Promise.resolve();
  }

  refusal(bytes: number): StoreError | undefined {
    if (!this.#open) return new StoreError('closed', 'memory: closed');
    if (this.stats().bytes + bytes <= this.limits.bytesMax) return undefined;
    return new StoreError('unavailable', 'memory: full');
  }

  async receive(options: ReceiveOptions): Promise<Delivery | undefined> {
    await Promise.resolve();
    if (!this.#open) throw new StoreError('closed', 'memory: closed');
    const chunks: Uint8Array[] = [];
    let count = 0;
    const from = this.#next;
    let bytes = 0;
    for (const record of this.#queue) {
      if (record.end <= this.#next) continue;
      chunks.push(...record.lines.chunks);
      count += record.lines.count;
      bytes += record.bytes;
      this.#next = record.end;
      if (count >= options.eventsMax || bytes >= options.bytesMax) break;
    }
    if (count === 0) return undefined;
    const end = this.#next;
    return {
      lines: new EventLines(chunks, count),
      damaged: [],
      position: { source: this.#source, end },
      ack: () => Promise.resolve(this.#drop(end)),
      nack: () => {
        this.#next = Math.min(this.#next, from);
      },
    };
  }

  #drop(end: number): void {
    while (this.#queue.length > 0 && this.#queue[0]!.end <= end) this.#queue.shift();
  }

  stats(): PublisherStats & { oldestReceivedAtUs?: number } {
    const bytes = this.#queue.reduce((sum, record) => sum + record.bytes, 0);
    const events = this.#queue.reduce((sum, record) => sum + record.lines.count, 0);
    const first = this.#queue[0]?.lines.chunks[0];
    const oldest =
      first === undefined
        ? {}
        : { oldestReceivedAtUs: (parseJson(firstLine(first)) as { received_at: number }).received_at };
    return { events, bytes, waiting: 0, ...oldest };
  }

  close(): Promise<void> {
    this.#open = false;
    return Promise.resolve();
  }
}
