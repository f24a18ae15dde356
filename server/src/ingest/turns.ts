import { Problem } from '../http/problems.ts';

/** Work in steps of a millisecond or so each. */
export type Steps<T> = Generator<undefined, T>;

/** How long the thread is held at a time, in milliseconds. */
const SLICE_MS = 5;
/** From so many bytes on, work is large: so many of it are under way at a time, since each holds what it has done so far. */
const LARGE_BYTES = 1_024 * 1_024;
const LARGE_MAX = 4;
/** Bytes of all work that is under way or waits. */
const BYTES_MAX = 128 * 1_024 * 1_024;

/** One piece of work. `step` returns true when it is done. */
interface Turn {
  readonly bytes: number;
  readonly step: () => boolean;
}

/**
 * Shares the thread between pieces of work and everything else that it does. Work begins at once; what is not done after
 * a slice goes on in the next turn of the event loop. All that is under way takes turns, a step each, so that a small batch
 * does not wait for a large one.
 */
export class Turns {
  readonly #underWay: Turn[] = [];
  /** Large work that has not begun. */
  readonly #waiting: Turn[] = [];
  #large = 0;
  #bytes = 0;
  /** Whether this turn of the event loop had its slice. */
  #rests = false;

  /**
   * Does the work; `bytes` is how much of it there is. Rejects with what it throws.
   * @throws Problem `server-busy` when too much is under way
   */
  run<T>(work: Steps<T>, bytes: number): Promise<T> {
    if (this.#bytes + bytes > BYTES_MAX && this.#bytes > 0) {
      throw new Problem('server-busy', 'too many batches are being taken in at the same time');
    }
    return new Promise((resolve, reject) => {
      const step = () => {
        try {
          const { done, value } = work.next();
          if (done === true) resolve(value);
          return done === true;
        } catch (error) {
          reject(error);
          return true;
        }
      };
      this.#add({ bytes, step });
      if (!this.#rests) this.#slice();
    });
  }

  #add(turn: Turn): void {
    this.#bytes += turn.bytes;
    if (turn.bytes < LARGE_BYTES) this.#underWay.push(turn);
    else this.#waiting.push(turn);
    this.#admit();
  }

  #admit(): void {
    while (this.#large < LARGE_MAX && this.#waiting.length > 0) {
      this.#large += 1;
      this.#underWay.push(this.#waiting.shift()!);
    }
  }

  #slice(): void {
    const untilMs = performance.now() + SLICE_MS;
    for (let turn = this.#underWay.shift(); turn !== undefined; turn = this.#underWay.shift()) {
      if (turn.step()) this.#finish(turn);
      else this.#underWay.push(turn);
      if (performance.now() >= untilMs) break;
    }
    this.#rests = true;
    setImmediate(() => {
      this.#rests = false;
      if (this.#underWay.length > 0) this.#slice();
    });
  }

  #finish({ bytes }: Turn): void {
    this.#bytes -= bytes;
    if (bytes >= LARGE_BYTES) this.#large -= 1;
    this.#admit();
  }
}
