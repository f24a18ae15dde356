import { closing } from '../http/problem-reply.ts';
import { Problem } from '../http/problems.ts';

/** A body above this many bytes is large: it takes turns with others. */
export const LARGE_BODY_BYTES = 512 * 1_024;

/** While others wait, a body that has a place must bring so many bytes in each `PACE_MS`. */
const PACE_BYTES_MIN = 64 * 1_024;
const PACE_MS = 1_000;

export interface LargeBodiesOptions {
  /** Large bodies that are received, encoded and published at the same time. @default 2 */
  readonly placesMax?: number;
  /** Large bodies that may wait for a place. @default 64 */
  readonly waitingMax?: number;
  /** Longest wait, in milliseconds. @default 15_000 */
  readonly waitMs?: number;
}

/** Gives a place back. Call it once. */
export type Leave = () => void;

/** A body that asks for a place. Unless it cancels, exactly one of the two functions is called, once. */
export interface Entrant {
  /** Where the body comes from; what tells clients apart. */
  readonly address: string;
  readonly enter: (leave: Leave) => void;
  readonly refuse: (problem: Problem) => void;
  /** Bytes that have come; undefined when all have. */
  readonly received: () => number | undefined;
  /** Called at most once, after `enter`: the body is too slow, and others wait. It gives its place back. */
  readonly evict: (problem: Problem) => void;
}

/** A body that has a place. */
interface Placed {
  readonly entrant: Entrant;
  /** What had come when its pace was measured last. */
  bytes: number;
  sinceMs: number;
}

interface Waiting extends Entrant {
  readonly timer: NodeJS.Timeout;
}

/**
 * Turns of large bodies. A few of them have a place at a time; the others wait, unread, so that small bodies never wait
 * for large ones, and memory is bounded.
 *
 * Fair by address: addresses that wait get places in turn, and within an address the first comes first. One address can
 * have all places but one, and half of what may wait. Behind a proxy every client has the proxy's address: then it is
 * first come, first served.
 *
 * A place is for bodies that come: while others wait, one that brings next to nothing loses its place.
 */
export class LargeBodies {
  readonly #placesMax: number;
  readonly #waitingMax: number;
  readonly #waitMs: number;
  /** Who waits, by address; the address whose turn is next comes first. */
  readonly #queues = new Map<string, Set<Waiting>>();
  /** Places taken, by address. */
  readonly #taken = new Map<string, number>();
  readonly #placed = new Set<Placed>();
  #waiting = 0;
  #pace: NodeJS.Timeout | undefined;

  constructor({ placesMax = 2, waitingMax = 64, waitMs = 15_000 }: LargeBodiesOptions = {}) {
    this.#placesMax = placesMax;
    this.#waitingMax = waitingMax;
    this.#waitMs = waitMs;
  }

  /**
   * Lets the entrant in, at once where a place is free. Returns what cancels the waiting; after its end that does nothing.
   * @throws Problem `server-busy` when too many wait
   */
  request(entrant: Entrant): () => void {
    const { address } = entrant;
    if (this.#hasPlace(address) && !this.#queues.has(address)) {
      this.#admit(entrant);
      return () => undefined;
    }
    const queue = this.#queues.get(address) ?? new Set<Waiting>();
    if (this.#waiting >= this.#waitingMax || queue.size >= this.#waitingMax / 2) throw busy();
    const timer = setTimeout(() => {
      this.#remove(waiting);
      entrant.refuse(busy());
    }, this.#waitMs);
    const waiting = { ...entrant, timer };
    this.#queues.set(address, queue.add(waiting));
    this.#waiting += 1;
    this.#watchPace();
    return () => this.#remove(waiting);
  }

  #hasPlace(address: string): boolean {
    const most = Math.max(1, this.#placesMax - 1);
    return this.#placed.size < this.#placesMax && (this.#taken.get(address) ?? 0) < most;
  }

  #admit(entrant: Entrant): void {
    const { address, enter } = entrant;
    const placed = { entrant, bytes: entrant.received() ?? 0, sinceMs: performance.now() };
    this.#placed.add(placed);
    this.#taken.set(address, (this.#taken.get(address) ?? 0) + 1);
    enter(() => this.#leave(placed));
  }

  #leave(placed: Placed): void {
    const { address } = placed.entrant;
    this.#placed.delete(placed);
    const left = this.#taken.get(address)! - 1;
    if (left === 0) this.#taken.delete(address);
    else this.#taken.set(address, left);
    this.#admitNext();
  }

  /** Measures the pace of those that have a place from now on, until nobody waits. */
  #watchPace(): void {
    if (this.#pace !== undefined) return;
    for (const placed of this.#placed) measured(placed);
    this.#pace = setInterval(() => {
      if (this.#waiting === 0) {
        clearInterval(this.#pace);
        this.#pace = undefined;
        return;
      }
      // Who takes the place of one that loses it is not measured before the next time.
      for (const placed of this.#placed) {
        if (performance.now() - placed.sinceMs < PACE_MS) continue;
        const before = placed.bytes;
        const bytes = measured(placed);
        if (bytes !== undefined && bytes - before < PACE_BYTES_MIN) placed.entrant.evict(tooSlow());
      }
    }, PACE_MS).unref();
  }

  #admitNext(): void {
    for (const [address, queue] of this.#queues) {
      if (!this.#hasPlace(address)) continue;
      const [first] = queue;
      this.#remove(first!);
      // Behind the others that wait.
      if (queue.size > 0) {
        this.#queues.delete(address);
        this.#queues.set(address, queue);
      }
      return this.#admit(first!);
    }
  }

  #remove(waiting: Waiting): void {
    const queue = this.#queues.get(waiting.address);
    if (queue === undefined || !queue.delete(waiting)) return;
    clearTimeout(waiting.timer);
    this.#waiting -= 1;
    if (queue.size === 0) this.#queues.delete(waiting.address);
  }
}

function measured(placed: Placed): number | undefined {
  const bytes = placed.entrant.received();
  placed.bytes = bytes ?? placed.bytes;
  placed.sinceMs = performance.now();
  return bytes;
}

function tooSlow(): Problem {
  const detail = `the body came too slowly while others waited: at least ${PACE_BYTES_MIN} bytes a second, or at most ${LARGE_BODY_BYTES} bytes`;
  return new Problem('request-timeout', detail, closing);
}

function busy(): Problem {
  return new Problem('server-busy', `too many bodies above ${LARGE_BODY_BYTES} bytes are being received`);
}
