import type { EventLines } from '../event/lines.ts';
import type { Position } from '../event/position.ts';
import type { StoreError } from '../event/store-error.ts';

/** What a publisher can hold. Beyond it, `publish` rejects with `unavailable` at once: it never queues without bound. */
export interface PublisherLimits {
  /** Batches that may wait for durability at the same time. */
  readonly waitingMax: number;
  /** Bytes stored and not yet acknowledged by the reader. */
  readonly bytesMax: number;
}

/** A publisher's load at this moment, for metrics. */
export interface PublisherStats {
  /** Events accepted and not yet acknowledged by the reader. */
  readonly events: number;
  /** Bytes that they take in the store. */
  readonly bytes: number;
  /** Batches waiting for durability. */
  readonly waiting: number;
}

/**
 * Where accepted events go first.
 *
 * `publish` resolves only when every line of the batch is durable: a crash of this process or of the
 * machine after that moment cannot lose it. When it rejects, nothing of the batch was stored, unless the error is
 * `timeout`: then some or all of it may be, and only sending it again with the same event ids is safe.
 *
 * It may be called many times concurrently; commits are shared. It tries again by itself only within its deadline, where
 * it has one and the fault is one that passes. It never blocks the thread for longer than it takes to copy the lines. The lines travel as bytes and belong to the
 * publisher until it settles; nobody writes to them afterwards.
 * Errors: `StoreError` with `unavailable` (full, or the disk is), `too-large`, `timeout`, `closed`.
 *
 * `refusal` tells why a batch of so many bytes would be refused now; undefined where it would be taken, as far as that is
 * known. It is for asking before a body is read, so it is cheap and promises nothing: `publish` decides.
 *
 * `close` waits for every promise given out to settle, then releases the store. Afterwards `publish`
 * rejects with `closed`. Closing twice is allowed.
 */
export interface Publisher {
  readonly name: string;
  readonly limits: PublisherLimits;
  open(): Promise<void>;
  publish(lines: EventLines, options?: { signal?: AbortSignal }): Promise<void>;
  refusal(bytes: number): StoreError | undefined;
  stats(): PublisherStats;
  close(): Promise<void>;
}

/** A publisher that can be the end of store and forward: events come to it out of the journal. */
export interface ForwardingPublisher extends Publisher {
  /** Resolves when what can be no event is kept where dead letters are read, with its reason. */
  publishDeadLetters(letters: readonly { readonly detail: string; readonly body: string }[]): Promise<void>;
}

/** A part of the store that could not be read back. It is reported as a dead letter, never dropped silently. */
export interface Damage {
  readonly reason: string;
  readonly body: string;
}

/**
 * Events handed out by a source, oldest first. The lines belong to the receiver: the source hands out bytes that it
 * never writes to again, not a view of what it reads into.
 *
 * `ack` tells the source that everything up to `position` is stored elsewhere for good; the source may
 * delete it. `nack` hands the delivery back: the next `receive` starts before it again, whatever was handed out
 * later. One of the two is called exactly once. Two deliveries may be open at a time: `ack` in their order, `nack` in any.
 */
export interface Delivery {
  readonly lines: EventLines;
  readonly damaged: readonly Damage[];
  readonly position: Position;
  ack(): Promise<void>;
  nack(): void;
}

export interface ReceiveOptions {
  /** Stop adding records once this many events are in; one record is never split, so a delivery may hold more. */
  readonly eventsMax: number;
  /** The same in bytes. */
  readonly bytesMax: number;
  /** How long to wait for a first event, in milliseconds. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** How far behind the reader of a source is. */
export interface SourceStats {
  /** Unix microseconds of the oldest event that is not acknowledged; absent when there is none. */
  readonly oldestReceivedAtUs?: number;
}

/**
 * The reading side. One reader at a time; calls do not overlap. `receive` resolves with undefined when
 * nothing came within `waitMs` or the signal fired. Order: a position is handed out only after all lower ones.
 * `open` is given the last position that the warehouse holds, so that what it has is not handed out again.
 */
export interface Source {
  readonly name: string;
  open(stored: readonly Position[]): Promise<void>;
  receive(options: ReceiveOptions): Promise<Delivery | undefined>;
  stats(): SourceStats;
  close(): Promise<void>;
}
