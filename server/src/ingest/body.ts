import type { IncomingHttpHeaders } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { Problem } from '../http/problems.ts';

const ENDED_EARLY = 'the request ended before its body did';

/** Bytes of bodies held in memory over all requests, against a limit. */
export class BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @throws Problem `server-busy` when the limit is reached */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) {
      throw new Problem('server-busy', 'too many request bodies are being received at the same time');
    }
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Watches a body as it arrives: each chunk after decompression. Throws a Problem to refuse the rest. */
export type ChunkWatch = (chunk: Buffer) => void;

export interface ReadBodyOptions {
  /** Limit on the body as sent and, again, after decompression. */
  readonly bytesMax: number;
  readonly budget: BodyBudget;
  readonly watch?: ChunkWatch;
}

/** Bytes behind the compressed ones are a fault; with gzip they always are, but for the zeros that some pad it with. */
const NOTHING_BEHIND = { rejectGarbageAfterEnd: true };

const DECOMPRESSORS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  br: () => createBrotliDecompress(NOTHING_BEHIND),
  zstd: () => createZstdDecompress(NOTHING_BEHIND),
};

/**
 * Reads a request's body as a whole, decompressing it. Limits hold while it streams: a body that is too
 * large is refused at the first byte beyond, a compressed one likewise, and nothing more of it is read.
 * @throws Problem body-too-large, unsupported-encoding, invalid-encoding, server-busy
 */
export async function readBody(
  stream: Readable,
  headers: IncomingHttpHeaders,
  options: ReadBodyOptions,
): Promise<Buffer> {
  const { bytesMax } = options;
  const declared = Number(headers['content-length'] ?? 0);
  if (declared > bytesMax) throw tooLarge(bytesMax);
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return collect(stream, options).catch(cutOff);
  const make = Object.hasOwn(DECOMPRESSORS, encoding) ? DECOMPRESSORS[encoding] : undefined;
  if (make === undefined) {
    throw new Problem('unsupported-encoding', `Content-Encoding must be gzip, br or zstd, or absent`, {
      headers: { 'accept-encoding': 'gzip, br, zstd' },
    });
  }
  return collectDecompressed(stream, make(), options);
}

/** What the connection itself says when it breaks. */
function cutOff(error: unknown): never {
  if (error instanceof Problem) throw error;
  throw new Problem('bad-request', ENDED_EARLY, { cause: error });
}

function tooLarge(bytesMax: number): Problem {
  return new Problem(
    'body-too-large',
    `the body must be at most ${bytesMax} bytes, before and after decompression`,
    {
      headers: { connection: 'close' },
    },
  );
}

/** Gathers the chunks of a stream. Listeners instead of iteration: half the cost on the single-event route. */
function collect(stream: Readable, { bytesMax, budget, watch }: ReadBodyOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (finish: () => void) => {
      stream.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      budget.give(bytes);
      finish();
    };
    const refuse = (error: unknown) => settle(() => reject(error));
    const onData = (chunk: Buffer) => {
      try {
        if (bytes + chunk.length > bytesMax) throw tooLarge(bytesMax);
        budget.take(chunk.length);
        bytes += chunk.length;
        chunks.push(chunk);
        watch?.(chunk);
      } catch (error) {
        refuse(error);
      }
    };
    const onEnd = () => settle(() => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    const onError = (error: unknown) => refuse(error);
    const onClose = () => refuse(new Problem('bad-request', ENDED_EARLY));
    stream.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

async function collectDecompressed(
  stream: Readable,
  decompressor: Transform,
  options: ReadBodyOptions,
): Promise<Buffer> {
  let received = 0;
  const count = (chunk: Buffer) => {
    received += chunk.length;
    if (received > options.bytesMax) decompressor.destroy(tooLarge(options.bytesMax));
  };
  const abort = (error?: unknown) =>
    decompressor.destroy(error instanceof Problem ? error : new Problem('bad-request', ENDED_EARLY));
  const onClose = () => {
    if (!stream.readableEnded) abort();
  };
  stream.on('data', count).on('error', abort).on('close', onClose);
  try {
    return await collect(stream.pipe(decompressor), options);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('invalid-encoding', 'the body is not what Content-Encoding says, or it is cut off', {
      cause: error,
    });
  } finally {
    stream.unpipe(decompressor).off('data', count).off('error', abort).off('close', onClose);
    decompressor.destroy();
  }
}
