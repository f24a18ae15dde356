import { Problem } from '../http/problems.ts';

/** A body above this many bytes is large: it takes turns with others. */
export const LARGE_BODY_BYTES = 512 * 1_024;

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
 */
export class LargeBodies {
  readonly #placesMax: number;
  readonly #waitingMax: number;
  readonly #waitMs: number;
  /** Who waits, by address; the address whose turn is next comes first. */
  readonly #queues = new Map<string, Set<Waiting>>();
  /** Places taken, by address. */
  readonly #taken = new Map<string, number>();
  #places = 0;
  #waiting = 0;

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
    return () => this.#remove(waiting);
  }

  #hasPlace(address: string): boolean {
    const most = Math.max(1, this.#placesMax - 1);
    return this.#places < this.#placesMax && (this.#taken.get(address) ?? 0) < most;
  }

  #admit({ address, enter }: Entrant): void {
    this.#places += 1;
    this.#taken.set(address, (this.#taken.get(address) ?? 0) + 1);
    enter(() => this.#leave(address));
  }

  #leave(address: string): void {
    this.#places -= 1;
    const left = this.#taken.get(address)! - 1;
    if (left === 0) this.#taken.delete(address);
    else this.#taken.set(address, left);
    this.#admitNext();
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

function busy(): Problem {
  return new Problem('server-busy', `too many bodies above ${LARGE_BODY_BYTES} bytes are being received`);
}
