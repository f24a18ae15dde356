import type { IncomingHttpHeaders } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, zstdDecompress, type ZstdOptions } from 'node:zlib';
import { Problem } from '../http/problems.ts';

/** Decompresses a whole body into at most so many bytes. */
export type Decompress = (bytes: Buffer, bytesMax: number) => Promise<Buffer>;

/** Bytes that a decompressor puts out at a time. */
const CHUNK_BYTES = 64 * 1_024;

/** Bytes behind the compressed ones are a fault; with gzip they always are, but for the zeros that some pad it with. */
const OPTIONS = { chunkSize: CHUNK_BYTES, rejectGarbageAfterEnd: true };

/** The largest window that zstd may use as a content encoding is 8 MiB (RFC 9659). */
const ZSTD: ZstdOptions = { ...OPTIONS, params: { [constants.ZSTD_d_windowLogMax]: 23 } };

const asyncGunzip = promisify(gunzip);
const asyncBrotli = promisify(brotliDecompress);
const asyncZstd = promisify<Buffer, ZstdOptions, Buffer>(zstdDecompress);

const gzip: Decompress = (bytes, maxOutputLength) =>
  asyncGunzip(bytes, { chunkSize: CHUNK_BYTES, maxOutputLength });

const DECOMPRESSORS: Readonly<Record<string, Decompress>> = {
  gzip,
  'x-gzip': gzip,
  br: (bytes, maxOutputLength) => asyncBrotli(bytes, { ...OPTIONS, maxOutputLength }),
  zstd: (bytes, maxOutputLength) => asyncZstd(bytes, { ...ZSTD, maxOutputLength }),
};

/**
 * How much larger than received a body may become. Real batches of 10,000 events stay below 3,000 with every encoding,
 * also where one user sends the same 10 KB of properties each second; ten MiB of one character are 30,000 and more.
 */
const RATIO_MAX = 5_000;

/** So much may come out of any body. */
const RATIO_FREE_BYTES = 512 * 1_024;

/**
 * What decompresses a request's body as its Content-Encoding says; undefined where nothing has to.
 * @throws Problem `unsupported-encoding`
 */
export function decompressorOf(headers: IncomingHttpHeaders): Decompress | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return undefined;
  const decompress = Object.hasOwn(DECOMPRESSORS, encoding) ? DECOMPRESSORS[encoding] : undefined;
  if (decompress !== undefined) return decompress;
  throw new Problem('unsupported-encoding', `Content-Encoding must be gzip, br or zstd, or absent`, {
    headers: { 'accept-encoding': 'gzip, br, zstd' },
  });
}

/** Bytes that a body of so many compressed ones may become, whatever else limits it. */
export function decompressedMax(receivedBytes: number): number {
  return Math.max(RATIO_FREE_BYTES, receivedBytes * RATIO_MAX);
}

export function absurdRatio(): Problem {
  return new Problem(
    'body-too-large',
    `the body must not become more than ${RATIO_MAX} times as large when it is decompressed`,
  );
}
