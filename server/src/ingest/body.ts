import type { IncomingMessage } from 'node:http';
import { Problem } from '../http/problems.ts';
import type { BodyBudget } from './body-budget.ts';
import { absurdRatio, type Decompress, decompressedMax, decompressorOf } from './decompress.ts';
import { LARGE_BODY_BYTES, type LargeBodies, type Leave } from './large-bodies.ts';
import type { LargeWork } from './large-work.ts';
import { type LeaveSlot, Slots } from './slots.ts';

const ENDED_EARLY = 'the request ended before its body did';

/** What Node may hold of a body that is not read: its buffer and one read beyond. */
const UNREAD_BYTES = 128 * 1_024;

/** The least room for a body of more than one chunk. */
const ROOM_BYTES_MIN = 4 * 1_024;

/**
 * Compressed bodies that are taken in at a time, as far as they are not large: from their decompression, since what they
 * become is not known before, until their events are stored or refused.
 */
const decompressing = new Slots({ slotsMax: 8 });

/** The same for those that grow a lot: few bytes on the wire become much work, which must not shut out other bodies. */
const swelling = new Slots({ slotsMax: 2 });

/** A body grows a lot that becomes this many times as large and more than `SWOLLEN_BYTES_MIN`. Most batches stay below. */
const SWOLLEN_RATIO_MIN = 20;
const SWOLLEN_BYTES_MIN = 64 * 1_024;

/** A decompressed body up to this many bytes keeps no slot: it costs no more than one that is not compressed. */
const SLOT_KEPT_BYTES_MIN = 16 * 1_024;

/** Watches a body as it arrives, or after its decompression. Throws a Problem to refuse the rest. */
export type ChunkWatch = (chunk: Buffer) => void;

export interface ReadBodyOptions {
  /** Limit on the body as sent and, again, after decompression. */
  readonly bytesMax: number;
  readonly budget: BodyBudget;
  readonly large: LargeBodies;
  readonly work: LargeWork;
  /** Called when the body is about to be read; a large one may have waited for its turn. May throw a Problem. */
  readonly proceed: () => void;
  readonly watch?: ChunkWatch;
}

/** A whole body. It counts as held, and a large one has its place, until it is released. */
export interface Body {
  readonly bytes: Buffer;
  /** Call it once, when the events are stored or refused. */
  readonly release: () => void;
}

/**
 * Reads a request's body as a whole and decompresses it. Limits hold while it arrives and while it is decompressed: one
 * that is too large is refused at the first byte beyond, and nothing more of it is read. A body that is large, or turns
 * out to be, waits for its place and is not read meanwhile.
 * @throws Problem body-too-large, unsupported-encoding, invalid-encoding, server-busy
 */
export async function readBody(request: IncomingMessage, options: ReadBodyOptions): Promise<Body> {
  if (declaredBytes(request) > options.bytesMax) throw tooLarge(options.bytesMax);
  const decompress = decompressorOf(request.headers);
  if (decompress === undefined) return new BodyReader(request, options).read();
  const { watch: _, ...unwatched } = options;
  const reader = new BodyReader(request, unwatched);
  const { bytes } = await reader.read();
  return reader.replace((turns) => decompressed({ bytes, decompress, turns }, options));
}

/** What a body waits for before it is decompressed. The slot is kept until the body is released. */
interface BodyTurns {
  /** Resolves when the body has a slot, in the place of the one that it had. */
  readonly slot: (slots: Slots) => Promise<void>;
  readonly leaveSlot: () => void;
  /** Resolves when the body has a place among the large ones. */
  readonly place: () => Promise<void>;
}

interface Compressed {
  readonly bytes: Buffer;
  readonly decompress: Decompress;
  readonly turns: BodyTurns;
}

/** Most bodies are small: each is tried as such, and again as one that grows a lot or a large one where it is not. */
async function decompressed(
  { bytes, decompress, turns }: Compressed,
  options: ReadBodyOptions,
): Promise<Buffer> {
  const { bytesMax, work, watch } = options;
  const most = Math.min(bytesMax, decompressedMax(bytes.length));
  const small = Math.min(most, LARGE_BODY_BYTES);
  const usual = Math.min(small, Math.max(SWOLLEN_BYTES_MIN, bytes.length * SWOLLEN_RATIO_MIN));
  await turns.slot(decompressing);
  let whole = await within(bytes, usual, decompress);
  if (whole === undefined && small > usual) {
    await turns.slot(swelling);
    whole = await within(bytes, small, decompress);
  }
  if (whole === undefined || whole.length <= SLOT_KEPT_BYTES_MIN) turns.leaveSlot();
  if (whole === undefined && most > small) {
    await turns.place();
    whole = await work.run(() => within(bytes, most, decompress));
  }
  if (whole === undefined) throw most < bytesMax ? absurdRatio() : tooLarge(bytesMax);
  watch?.(whole);
  return whole;
}

/** Undefined where it becomes larger. */
async function within(bytes: Buffer, bytesMax: number, decompress: Decompress): Promise<Buffer | undefined> {
  try {
    return await decompress(bytes, bytesMax);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw new Problem('invalid-encoding', 'the body is not what Content-Encoding says, or it is cut off', {
      cause: error,
    });
  }
}

/** 0 where the body is sent in chunks. */
function declaredBytes({ headers }: IncomingMessage): number {
  return Number(headers['content-length'] ?? 0);
}

function tooLarge(bytesMax: number): Problem {
  return new Problem(
    'body-too-large',
    `the body must be at most ${bytesMax} bytes, before and after decompression`,
  );
}

/**
 * Gathers the chunks of a request. Listeners instead of iteration: half the cost on the single-event route. Most events
 * are one chunk, which is kept as it is; more are copied into one buffer that grows, so that no number of tiny chunks
 * takes more than its bytes.
 */
class BodyReader {
  readonly #request: IncomingMessage;
  readonly #options: ReadBodyOptions;
  #buffer: Buffer | undefined;
  #bytes = 0;
  /** What the budget counts for this body. */
  #held = 0;
  /** Whether it waits for its place. */
  #paused = false;
  #ended = false;
  #leave: Leave | undefined;
  #leaveSlot: LeaveSlot | undefined;
  #cancel: (() => void) | undefined;
  #resolve: (body: Body) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(request: IncomingMessage, options: ReadBodyOptions) {
    this.#request = request;
    this.#options = options;
  }

  read(): Promise<Body> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#request.on('error', this.#onError).on('close', this.#onClose);
      if (declaredBytes(this.#request) > LARGE_BODY_BYTES) this.#awaitPlace(() => this.#begin());
      else this.#begin();
    });
  }

  /** Puts other bytes in the place of the ones that were read. */
  async replace(make: (turns: BodyTurns) => Promise<Buffer>): Promise<Body> {
    try {
      const leaveSlot = () => this.#giveSlot();
      const bytes = await make({ slot: (slots) => this.#slot(slots), leaveSlot, place: () => this.#place() });
      this.#hold(bytes.length);
      return { bytes, release: this.#release };
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async #slot(slots: Slots): Promise<void> {
    this.#giveSlot();
    this.#leaveSlot = await slots.enter(() => this.#request.socket.destroyed);
  }

  #giveSlot(): void {
    this.#leaveSlot?.();
    this.#leaveSlot = undefined;
  }

  #begin(): void {
    try {
      this.#options.proceed();
      this.#request.on('data', this.#onData).on('end', this.#onEnd);
    } catch (error) {
      this.#refuse(error);
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#bytes + chunk.length;
    try {
      if (bytes > this.#options.bytesMax) throw tooLarge(this.#options.bytesMax);
      this.#options.watch?.(chunk);
      if (bytes <= LARGE_BODY_BYTES || this.#leave !== undefined) this.#add(chunk);
      else this.#awaitPlace(() => this.#add(chunk));
    } catch (error) {
      this.#refuse(error);
    }
  };

  /** The chunk that made the body large may have been its last: then the end comes while it waits. */
  readonly #onEnd = (): void => {
    this.#detach();
    this.#ended = true;
    if (!this.#paused) this.#finish();
  };

  #finish(): void {
    const bytes = this.#buffer?.subarray(0, this.#bytes) ?? Buffer.alloc(0);
    this.#buffer = undefined;
    this.#resolve({ bytes, release: this.#release });
  }

  /** What the connection itself says when it breaks. */
  readonly #onError = (error: unknown): void => {
    const known = error instanceof Problem;
    this.#refuse(known ? error : new Problem('bad-request', ENDED_EARLY, { cause: error }));
  };

  readonly #onClose = (): void => this.#refuse(new Problem('bad-request', ENDED_EARLY));

  /** Reads nothing until the body has a place; then `first`, and on with the rest. */
  #awaitPlace(first: () => void): void {
    this.#pause();
    try {
      this.#hold(this.#held + UNREAD_BYTES);
    } catch (error) {
      return this.#refuse(error);
    }
    const goOn = () => {
      // It was refused in the same turn of the event loop in which it got its place.
      if (this.#leave === undefined) return;
      try {
        this.#hold(this.#held - UNREAD_BYTES);
        this.#resume();
        first();
        if (this.#ended) this.#finish();
      } catch (error) {
        this.#refuse(error);
      }
    };
    this.#place().then(goOn, (error: unknown) => this.#refuse(error));
  }

  /**
   * A paused request goes on reading up to its mark in bytes. Of a body in chunks that can be 65,000 Buffers of one byte
   * each, so its socket stops too. Of one with a length it may read on, and notices when the client goes.
   */
  #pause(): void {
    const request = this.#request;
    this.#paused = true;
    request.pause();
    if (declaredBytes(request) > 0) return;
    request._read = () => undefined;
    request.socket.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    const request = this.#request;
    this.#paused = false;
    if (Object.hasOwn(request, '_read')) {
      Reflect.deleteProperty(request, '_read');
      request.socket.resume();
    }
    request.resume();
  }

  #place(): Promise<void> {
    const address = this.#request.socket.remoteAddress ?? '';
    return new Promise((resolve, refuse) => {
      if (this.#leave !== undefined) return resolve();
      const enter = (leave: Leave) => {
        this.#leave = leave;
        resolve();
      };
      const received = () => (this.#ended ? undefined : this.#bytes);
      const evict = (problem: Problem) => this.#refuse(problem);
      this.#cancel = this.#options.large.request({ address, enter, refuse, received, evict });
    });
  }

  #add(chunk: Buffer): void {
    const bytes = this.#bytes + chunk.length;
    if (this.#buffer === undefined) {
      this.#hold(this.#held + chunk.length);
      this.#buffer = chunk;
    } else {
      if (bytes > this.#buffer.length) this.#grow(bytes);
      chunk.copy(this.#buffer, this.#bytes);
    }
    this.#bytes = bytes;
  }

  #grow(bytes: number): void {
    const old = this.#buffer!;
    const declared = declaredBytes(this.#request);
    const most = declared === 0 ? this.#options.bytesMax : declared;
    // A large body has its place: its whole length at once.
    const room = declared > LARGE_BODY_BYTES ? declared : Math.min(Math.max(2 * bytes, ROOM_BYTES_MIN), most);
    this.#hold(this.#held - old.length + room);
    this.#buffer = Buffer.allocUnsafeSlow(room);
    old.copy(this.#buffer, 0, 0, this.#bytes);
  }

  #hold(bytes: number): void {
    this.#options.budget.move(this.#held, bytes);
    this.#held = bytes;
  }

  #refuse(error: unknown): void {
    this.#detach();
    this.#buffer = undefined;
    this.#resume();
    this.#release();
    this.#reject(error);
  }

  #detach(): void {
    this.#request.off('data', this.#onData).off('end', this.#onEnd);
    this.#request.off('error', this.#onError).off('close', this.#onClose);
  }

  readonly #release = (): void => {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#leave?.();
    this.#leave = undefined;
    this.#giveSlot();
    this.#hold(0);
  };
}
