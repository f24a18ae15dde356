import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { Problem } from '../http/problems.ts';

/** Bytes behind the compressed ones are a fault; with gzip they always are, but for the zeros that some pad it with. */
const NOTHING_BEHIND = { rejectGarbageAfterEnd: true };

/** The largest window that zstd may use as a content encoding is 8 MiB (RFC 9659). */
const ZSTD = { ...NOTHING_BEHIND, params: { [constants.ZSTD_d_windowLogMax]: 23 } };

const DECOMPRESSORS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  br: () => createBrotliDecompress(NOTHING_BEHIND),
  zstd: () => createZstdDecompress(ZSTD),
};

/** What a decompressor takes beside what it has put out, by measure. */
export const DECOMPRESSOR_BYTES = 64 * 1_024;

/**
 * How much larger than received a body may become. Real batches of 10,000 events stay below 3,000 with every encoding,
 * also where one user sends the same 10 KB of properties each second; ten MiB of one character are 30,000 and more.
 */
const RATIO_MAX = 5_000;

/** So much may come out of any body before its ratio counts. */
const RATIO_FREE_BYTES = 1_024 * 1_024;

/**
 * What decompresses a request's body as its Content-Encoding says; undefined where nothing has to.
 * @throws Problem `unsupported-encoding`
 */
export function decompressorOf({ headers }: IncomingMessage): Transform | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return undefined;
  const make = Object.hasOwn(DECOMPRESSORS, encoding) ? DECOMPRESSORS[encoding] : undefined;
  if (make !== undefined) return make();
  throw new Problem('unsupported-encoding', `Content-Encoding must be gzip, br or zstd, or absent`, {
    headers: { 'accept-encoding': 'gzip, br, zstd' },
  });
}

/** @throws Problem `body-too-large` for so much out of so little that it can be no batch of events */
export function checkRatio(receivedBytes: number, bytes: number): void {
  if (bytes <= RATIO_FREE_BYTES || bytes <= receivedBytes * RATIO_MAX) return;
  throw new Problem(
    'body-too-large',
    `the body must not become more than ${RATIO_MAX} times as large when it is decompressed`,
  );
}
