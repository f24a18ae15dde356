import type { Cursor } from './reader.ts';

/** Cells of the shared memory: the position after the last durable record, and the cursor up to which all is acknowledged. */
const WRITTEN = 0;
const ACKED_POSITION = 1;
const ACKED_SEGMENT = 2;
const ACKED_OFFSET = 3;
/** 1 once the directory is lost: nothing in it may be touched. */
const LOST = 4;
const CELLS = 5;

/**
 * How far the journal has come, in memory that the writing and the reading thread share: the reader must not see a
 * record before it is durable, or the warehouse could know an event that a crash takes out of the journal.
 */
export class JournalHead {
  /** Hand this to the other thread, which makes its own `JournalHead` of it. */
  readonly shared: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  constructor(shared = new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.shared = shared;
    this.#cells = new BigInt64Array(shared);
  }

  get written(): number {
    return this.#load(WRITTEN);
  }

  set written(position: number) {
    this.#store(WRITTEN, position);
  }

  get lost(): boolean {
    return this.#load(LOST) === 1;
  }

  lose(): void {
    this.#store(LOST, 1);
  }

  get acked(): Cursor {
    return {
      segment: this.#load(ACKED_SEGMENT),
      offset: this.#load(ACKED_OFFSET),
      position: this.#load(ACKED_POSITION),
    };
  }

  set acked({ segment, offset, position }: Cursor) {
    this.#store(ACKED_SEGMENT, segment);
    this.#store(ACKED_OFFSET, offset);
    this.#store(ACKED_POSITION, position);
  }

  #load(cell: number): number {
    return Number(Atomics.load(this.#cells, cell));
  }

  #store(cell: number, value: number): void {
    Atomics.store(this.#cells, cell, BigInt(value));
  }
}
