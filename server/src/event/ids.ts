/** Characters of an id. */
const ID_CHARS = 36;

/** Random bytes that are asked for at a time. */
const RANDOM_BYTES = 4_096;

/** Of which an id takes ten. */
const ID_RANDOM_BYTES = 10;

const HEX = new TextEncoder().encode('0123456789abcdef');
const DASH = 45;

/** Makes the event_id of an event that has none: a UUIDv7 (RFC 9562), its time in milliseconds and 74 random bits. */
export class EventIds {
  readonly #fillRandom: (bytes: Uint8Array) => void;
  readonly #random = new Uint8Array(RANDOM_BYTES);
  readonly #id = new Uint8Array(16);
  readonly #text = Buffer.alloc(ID_CHARS);
  #used = RANDOM_BYTES;

  constructor(fillRandom: (bytes: Uint8Array) => void) {
    this.#fillRandom = fillRandom;
  }

  next(unixMs: number): string {
    this.write(unixMs, this.#text, 0);
    return this.#text.toString('latin1');
  }

  /** Writes the next id as ASCII; returns where it ends. Thousands are made a millisecond, so no text is made of them. */
  write(unixMs: number, into: Uint8Array, from: number): number {
    this.#fill(unixMs);
    let at = from;
    for (let index = 0; index < 16; index += 1) {
      const byte = this.#id[index]!;
      if (index === 4 || index === 6 || index === 8 || index === 10) into[at++] = DASH;
      into[at++] = HEX[byte >> 4]!;
      into[at++] = HEX[byte & 15]!;
    }
    return at;
  }

  #fill(unixMs: number): void {
    const id = this.#id;
    const high = Math.floor(unixMs / 2 ** 32);
    const low = unixMs - high * 2 ** 32;
    id[0] = high >> 8;
    id[1] = high;
    id[2] = low >>> 24;
    id[3] = low >>> 16;
    id[4] = low >>> 8;
    id[5] = low;
    if (this.#used + ID_RANDOM_BYTES > RANDOM_BYTES) {
      this.#fillRandom(this.#random);
      this.#used = 0;
    }
    for (let index = 6; index < 16; index += 1) id[index] = this.#random[this.#used++]!;
    id[6] = (id[6]! & 0x0f) | 0x70;
    id[8] = (id[8]! & 0x3f) | 0x80;
  }
}
