import { Problem } from '../http/problems.ts';
import { LARGE_BODY_BYTES } from './large-bodies.ts';

/** A body up to this many bytes is small. */
const SMALL_BODY_BYTES = 16 * 1_024;

/**
 * Bytes of bodies held in memory over all requests, against a limit: from the first byte until the events are stored or
 * refused. A quarter of the limit is kept for small bodies, and half of it is all that bodies of middle size can have,
 * so that slow senders of larger bodies do not shut out single events, nor large ones.
 */
export class BodyBudget {
  readonly #bytesMax: number;
  #small = 0;
  #middle = 0;
  #large = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#small + this.#middle + this.#large;
  }

  /**
   * A body that held `from` bytes holds `to` bytes now.
   * @throws Problem `server-busy` when that goes beyond the limit; then it holds what it did
   */
  move(from: number, to: number): void {
    this.#add(from, -from);
    this.#add(to, to);
    if (to <= from || this.#within(to)) return;
    this.#add(to, -to);
    this.#add(from, from);
    throw new Problem('server-busy', 'too many request bodies are being received at the same time');
  }

  #add(size: number, bytes: number): void {
    if (size <= SMALL_BODY_BYTES) this.#small += bytes;
    else if (size <= LARGE_BODY_BYTES) this.#middle += bytes;
    else this.#large += bytes;
  }

  #within(size: number): boolean {
    const most = this.#bytesMax;
    if (this.bytes > most) return false;
    if (size <= SMALL_BODY_BYTES) return true;
    if (this.#middle + this.#large > most * 0.75) return false;
    return size > LARGE_BODY_BYTES || this.#middle <= most / 2;
  }
}
