import { Problem } from '../http/problems.ts';

/** Gives a slot back. Call it once. */
export type LeaveSlot = () => void;

export interface SlotsOptions {
  /** Work that is under way at a time. */
  readonly slotsMax: number;
  /** Work that may wait. @default 256 */
  readonly waitingMax?: number;
}

interface Waiting {
  /** Whether nobody waits for the work any more. */
  readonly gone: () => boolean;
  readonly enter: (leave: LeaveSlot) => void;
  readonly refuse: (problem: Problem) => void;
}

/** Work of which only so much is under way at a time; some more waits in order. */
export class Slots {
  #free: number;
  readonly #waitingMax: number;
  #waiting: Waiting[] = [];

  constructor({ slotsMax, waitingMax = 256 }: SlotsOptions) {
    this.#free = slotsMax;
    this.#waitingMax = waitingMax;
  }

  /**
   * Resolves with what gives the slot back, when one is free. Work for which nobody waits any more does not begin.
   * @throws Problem `server-busy` when too much waits, `bad-request` when nobody waits any more
   */
  async enter(gone: () => boolean): Promise<LeaveSlot> {
    if (this.#free > 0) {
      this.#free -= 1;
      return this.#leave;
    }
    if (this.#waiting.length >= this.#waitingMax) this.#dropGone();
    if (this.#waiting.length >= this.#waitingMax)
      throw new Problem('server-busy', 'too many compressed bodies are being received at the same time');
    return new Promise((enter, refuse) => this.#waiting.push({ gone, enter, refuse }));
  }

  readonly #leave: LeaveSlot = () => {
    this.#dropGone();
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next.enter(this.#leave);
  };

  #dropGone(): void {
    const stay: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.gone()) waiting.refuse(new Problem('bad-request', 'the client went before its answer'));
      else stay.push(waiting);
    }
    this.#waiting = stay;
  }
}
