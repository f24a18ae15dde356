import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { Problem } from '../http/problems.ts';
import type { BodyBudget } from './body-budget.ts';
import { checkRatio, DECOMPRESSOR_BYTES, decompressorOf } from './decompress.ts';
import { LARGE_BODY_BYTES, type LargeBodies, type Leave } from './large-bodies.ts';

const ENDED_EARLY = 'the request ended before its body did';

/** What Node may hold of a body that is not read: its buffer and one read beyond. */
const UNREAD_BYTES = 128 * 1_024;

/** The least room for a body of more than one chunk. */
const ROOM_BYTES_MIN = 4 * 1_024;

/** Watches a body as it arrives: each chunk after decompression. Throws a Problem to refuse the rest. */
export type ChunkWatch = (chunk: Buffer) => void;

export interface ReadBodyOptions {
  /** Limit on the body as sent and, again, after decompression. */
  readonly bytesMax: number;
  readonly budget: BodyBudget;
  readonly large: LargeBodies;
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
 * Reads a request's body as a whole, decompressing it. Limits hold while it streams: a body that is too large is refused
 * at the first byte beyond, a compressed one likewise, and nothing more of it is read. A body that is large, or turns out
 * to be, waits for its turn and is not read meanwhile.
 * @throws Problem body-too-large, unsupported-encoding, invalid-encoding, server-busy
 */
export async function readBody(request: IncomingMessage, options: ReadBodyOptions): Promise<Body> {
  if (declaredBytes(request) > options.bytesMax) throw tooLarge(options.bytesMax);
  const decompressor = decompressorOf(request);
  if (decompressor === undefined) return new BodyReader(request, request, options).read();
  return readCompressed(request, decompressor, options);
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
 * Gathers the chunks of a stream. Listeners instead of iteration: half the cost on the single-event route. Most events
 * are one chunk, which is kept as it is; more are copied into one buffer that grows, so that no number of tiny chunks
 * takes more than its bytes.
 */
class BodyReader {
  readonly #request: IncomingMessage;
  /** The request, or what decompresses it. */
  readonly #stream: Readable;
  readonly #options: ReadBodyOptions;
  #buffer: Buffer | undefined;
  #bytes = 0;
  /** What the budget counts for this body. */
  #held = 0;
  #leave: Leave | undefined;
  #cancel: (() => void) | undefined;
  #resolve: (body: Body) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(request: IncomingMessage, stream: Readable, options: ReadBodyOptions) {
    this.#request = request;
    this.#stream = stream;
    this.#options = options;
  }

  read(): Promise<Body> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#stream.on('error', this.#onError).on('close', this.#onClose);
      const identity = this.#stream === this.#request;
      if (identity && declaredBytes(this.#request) > LARGE_BODY_BYTES) this.#awaitTurn(() => this.#begin());
      else this.#begin();
    });
  }

  #begin(): void {
    try {
      this.#options.proceed();
      if (this.#stream !== this.#request) this.#hold(DECOMPRESSOR_BYTES);
      this.#stream.on('data', this.#onData).on('end', this.#onEnd);
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
      else this.#awaitTurn(() => this.#add(chunk));
    } catch (error) {
      this.#refuse(error);
    }
  };

  readonly #onEnd = (): void => {
    this.#detach();
    const bytes = this.#buffer?.subarray(0, this.#bytes) ?? Buffer.alloc(0);
    this.#buffer = undefined;
    this.#resolve({ bytes, release: () => this.#release() });
  };

  /** What the connection itself says when it breaks. */
  readonly #onError = (error: unknown): void => {
    const known = error instanceof Problem || this.#stream !== this.#request;
    this.#refuse(known ? error : new Problem('bad-request', ENDED_EARLY, { cause: error }));
  };

  readonly #onClose = (): void => this.#refuse(new Problem('bad-request', ENDED_EARLY));

  /** Reads nothing until the body has a place; then `first`, and on with the rest. */
  #awaitTurn(first: () => void): void {
    const enter = (leave: Leave) => {
      this.#leave = leave;
      this.#hold(this.#held - UNREAD_BYTES);
      first();
      this.#stream.resume();
    };
    const refuse = (error: unknown) => this.#refuse(error);
    try {
      this.#stream.pause();
      this.#hold(this.#held + UNREAD_BYTES);
      const address = this.#request.socket.remoteAddress ?? '';
      this.#cancel = this.#options.large.request({ address, enter, refuse });
    } catch (error) {
      this.#refuse(error);
    }
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
    const declared = this.#stream === this.#request ? declaredBytes(this.#request) : 0;
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
    this.#release();
    this.#reject(error);
  }

  #detach(): void {
    this.#stream.off('data', this.#onData).off('end', this.#onEnd);
    this.#stream.off('error', this.#onError).off('close', this.#onClose);
  }

  #release(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#leave?.();
    this.#leave = undefined;
    this.#hold(0);
  }
}

async function readCompressed(
  request: IncomingMessage,
  decompressor: Transform,
  options: ReadBodyOptions,
): Promise<Body> {
  let received = 0;
  let bytes = 0;
  const count = (chunk: Buffer) => {
    received += chunk.length;
    if (received > options.bytesMax) decompressor.destroy(tooLarge(options.bytesMax));
  };
  const watch = (chunk: Buffer) => {
    bytes += chunk.length;
    checkRatio(received, bytes);
    options.watch?.(chunk);
  };
  const abort = (error?: unknown) =>
    decompressor.destroy(error instanceof Problem ? error : new Problem('bad-request', ENDED_EARLY));
  const onClose = () => {
    if (!request.readableEnded) abort();
  };
  const proceed = () => {
    options.proceed();
    request.on('data', count).pipe(decompressor);
  };
  request.on('error', abort).on('close', onClose);
  try {
    return await new BodyReader(request, decompressor, { ...options, watch, proceed }).read();
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('invalid-encoding', 'the body is not what Content-Encoding says, or it is cut off', {
      cause: error,
    });
  } finally {
    request.unpipe(decompressor).off('data', count).off('error', abort).off('close', onClose);
    decompressor.destroy();
  }
}
