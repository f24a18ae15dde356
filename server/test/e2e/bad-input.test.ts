import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, createGzip, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp, type App } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { EVENT_BYTES_MAX } from '../../src/event/limits.ts';

/* Every bad input gets a clear error and costs nothing else. One server takes them all; at the end it is as before. */

const MIB = 1_024 * 1_024;
const NOW_S = Math.floor(Date.now() / 1_000);
const NDJSON = { 'content-type': 'application/x-ndjson' };

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Body {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
  readonly rejected?: readonly {
    readonly code: string;
    readonly errors: readonly { readonly pointer: string }[];
  }[];
}

let app: App;
let url: string;
let directory: string;
const statuses: number[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-'));
  app = await createApp(
    readConfig({
      PORT: '0',
      DAYBOOK_DATA_DIR: directory,
      DAYBOOK_LOG_LEVEL: 'silent',
      DAYBOOK_LOADER_INTERVAL_MS: '50',
      DAYBOOK_REQUEST_TIMEOUT_MS: '1000',
    }),
  );
  url = await app.listen();
});

afterAll(async () => {
  await app.close();
  rmSync(directory, { recursive: true, force: true });
});

/** One POST; the chunks go out one by one when there are several, so that no length is declared. */
function post(
  path: string,
  chunks: readonly (string | Buffer)[],
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const type = { 'content-type': 'application/json' };
    const sent = request(
      url + path,
      { agent: false, method: 'POST', headers: { ...type, ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          statuses.push(response.statusCode!);
          resolve({ status: response.statusCode!, headers: response.headers, text });
        });
      },
    );
    // The server may close the connection while the rest is being sent; its answer is what counts.
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (!['EPIPE', 'ECONNRESET'].includes(error.code ?? '') || !sent.destroyed) reject(error);
      setTimeout(() => reject(error), 500);
    });
    if (chunks.length > 1) for (const chunk of chunks) sent.write(chunk);
    sent.end(chunks.length === 1 ? chunks[0] : undefined);
  });
}

const GOOD = { type: 'event', event_name: 'e', user_id: 'u', session_id: 's', event_time: NOW_S };
const text = (changes: Record<string, unknown> = {}) => JSON.stringify({ ...GOOD, ...changes });
/** The good event with a piece of JSON text put in, for what JSON.stringify would not write. */
const raw = (piece: string) => `${JSON.stringify(GOOD).slice(0, -1)},${piece}}`;
const nest = (depth: number): object => (depth === 1 ? {} : { a: nest(depth - 1) });
const body = (answer: Answer) => JSON.parse(answer.text) as Body;
/** The same event without a field; `undefined` is left out of JSON. */
const without = (field: string) => text({ [field]: undefined });

function expectProblem(answer: Answer, status: number, code: string, pointer?: string): void {
  expect([answer.status, body(answer).code], answer.text).toEqual([status, code]);
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(body(answer)).toMatchObject({ type: `/docs/errors#${code}`, status });
  expect(answer.text).not.toMatch(/\.[tj]s:\d|node_modules|\\n +at /);
  if (pointer === undefined) return;
  expect(body(answer).errors?.map((fault) => fault.pointer)).toContain(pointer);
}

/** name, body of a single event, code, pointer */
const EVENTS: readonly (readonly [name: string, sent: string, code: string, pointer?: string])[] = [
  ['a text cut off', text().slice(0, -3), 'invalid-json'],
  ['a trailing comma', '{"type":"event",}', 'invalid-json'],
  ['two values', `${text()}${text()}`, 'invalid-json'],
  ['a NaN literal', raw('"x":NaN'), 'invalid-json'],
  ['a byte order mark alone', '\ufeff', 'invalid-json'],
  ['a raw control character in a string', raw('"page":"a\u0001"'), 'invalid-json'],
  ['null', 'null', 'invalid-event', ''],
  ['a number', '17', 'invalid-event', ''],
  ['a string', '"event"', 'invalid-event', ''],
  ['an array', `[${text()}]`, 'invalid-event', ''],
  ['no type', without('type'), 'invalid-event', '/type'],
  ['another type', text({ type: 'identify' }), 'invalid-event', '/type'],
  ...['event_name', 'user_id', 'session_id', 'event_time'].map(
    (field) => [`no ${field}`, without(field), 'invalid-event', `/${field}`] as const,
  ),
  ...['event_name', 'user_id', 'session_id', 'event_id'].flatMap((field) => [
    [`an empty ${field}`, text({ [field]: '' }), 'invalid-event', `/${field}`] as const,
    [`${field} of 201 characters`, text({ [field]: 'x'.repeat(201) }), 'invalid-event', `/${field}`] as const,
    [`${field} as a number`, text({ [field]: 1 }), 'invalid-event', `/${field}`] as const,
    [`${field} as null`, text({ [field]: null }), 'invalid-event', `/${field}`] as const,
    [`${field} as an object`, text({ [field]: { toString: 'x' } }), 'invalid-event', `/${field}`] as const,
  ]),
  ...['country', 'region', 'city'].map(
    (field) =>
      [
        `${field} of 201 characters`,
        text({ [field]: 'x'.repeat(201) }),
        'invalid-event',
        `/${field}`,
      ] as const,
  ),
  ['page of 2,049 characters', text({ page: 'x'.repeat(2_049) }), 'invalid-event', '/page'],
  ['page as true', text({ page: true }), 'invalid-event', '/page'],
  ['an unknown field', text({ user_name: 'x' }), 'invalid-event', '/user_name'],
  ['an unknown field with a slash', text({ 'a/b~c': 'x' }), 'invalid-event', '/a~1b~0c'],
  ['a field in camelCase', text({ userId: 'x' }), 'invalid-event', '/userId'],
  ['__proto__', raw('"__proto__":{"user_id":"x"}'), 'invalid-event', '/__proto__'],
  ['constructor', raw('"constructor":{"prototype":{}}'), 'invalid-event', '/constructor'],
  ['a time as text', text({ event_time: String(NOW_S) }), 'invalid-event', '/event_time'],
  ['a time as an ISO date', text({ event_time: '2024-01-01T00:00:00Z' }), 'invalid-event', '/event_time'],
  ['a time in milliseconds', text({ event_time: NOW_S * 1e3 }), 'invalid-event', '/event_time'],
  ['a time in microseconds', text({ event_time: NOW_S * 1e6 }), 'invalid-event', '/event_time'],
  ['a time in nanoseconds', raw(`"event_time":${NOW_S}000000000`), 'invalid-event', '/event_time'],
  [
    'a time before the window',
    text({ event_time: Date.UTC(2000, 0, 1) / 1e3 - 0.001 }),
    'invalid-event',
    '/event_time',
  ],
  ['a time after the window', text({ event_time: NOW_S + 86_400 + 600 }), 'invalid-event', '/event_time'],
  ['a negative time', text({ event_time: -1 }), 'invalid-event', '/event_time'],
  ['a time of 1e400', raw('"event_time":1e400'), 'invalid-event', '/event_time'],
  ['a time of -1e400', raw('"event_time":-1e400'), 'invalid-event', '/event_time'],
  ['properties as an array', text({ properties: [] }), 'invalid-event', '/properties'],
  ['properties as text', text({ properties: '{}' }), 'invalid-event', '/properties'],
  ['properties as null', text({ properties: null }), 'invalid-event', '/properties'],
  ['properties six levels deep', text({ properties: nest(6) }), 'invalid-event', '/properties'],
  [
    'arrays in properties, six levels deep',
    text({ properties: { a: [[[[[]]]]] } }),
    'invalid-event',
    '/properties',
  ],
  [
    '50,000 nested arrays in properties',
    raw(`"properties":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`),
    'invalid-event',
    '/properties',
  ],
  ['60,000 nested arrays', '['.repeat(60_000) + ']'.repeat(60_000), 'invalid-event', ''],
  ['60,000 arrays that do not end', '['.repeat(60_000), 'invalid-json'],
  [
    '256 keys in properties',
    text({ properties: Object.fromEntries(Array.from({ length: 256 }, (_, n) => [`k${n}`, n])) }),
    'invalid-event',
    '/properties',
  ],
  [
    '256 keys over two levels',
    text({ properties: { a: Object.fromEntries(Array.from({ length: 255 }, (_, n) => [`k${n}`, n])) } }),
    'invalid-event',
    '/properties',
  ],
  [
    'properties over 32 KiB',
    text({ properties: { a: 'x'.repeat(32 * 1_024) } }),
    'invalid-event',
    '/properties',
  ],
  [
    'properties over 32 KiB in UTF-8 only',
    text({ properties: { a: '€'.repeat(11_000) } }),
    'invalid-event',
    '/properties',
  ],
  ['__proto__ in properties', raw('"properties":{"__proto__":{"a":1}}'), 'invalid-event', '/properties'],
  [
    '__proto__ deep in properties',
    raw('"properties":{"a":[{"__proto__":1}]}'),
    'invalid-event',
    '/properties/a/0',
  ],
  ['2^53 in properties', raw('"properties":{"n":9007199254740992}'), 'invalid-event', '/properties/n'],
  [
    '-2^53 deep in properties',
    raw('"properties":{"a":{"b/c":[1,-9007199254740992]}}'),
    'invalid-event',
    '/properties/a/b~1c/1',
  ],
  ['1e400 in properties', raw('"properties":{"n":1e400}'), 'invalid-event', '/properties/n'],
  ['a NUL in user_id', raw('"user_id":"a\\u0000b"'), 'invalid-event', '/user_id'],
  ['a NUL in event_id', raw('"event_id":"\\u0000"'), 'invalid-event', '/event_id'],
  ['a NUL in page', raw('"page":"\\u0000"'), 'invalid-event', '/page'],
  ['a lone surrogate in user_id', raw('"user_id":"a\\ud800"'), 'invalid-event', '/user_id'],
  ['a lone low surrogate in city', raw('"city":"\\udc00\\ud800"'), 'invalid-event', '/city'],
  ['a NUL in properties', raw('"properties":{"a":["\\u0000"]}'), 'invalid-event', '/properties/a/0'],
  ['a lone surrogate in properties', raw('"properties":{"a":"\\ud83d"}'), 'invalid-event', '/properties/a'],
  ['a NUL in a key of properties', raw('"properties":{"a\\u0000":1}'), 'invalid-event', '/properties'],
  [
    'a lone surrogate in a key of properties',
    raw('"properties":{"\\ud800":1}'),
    'invalid-event',
    '/properties',
  ],
  ['an empty body', '', 'invalid-json'],
  ['white space', ' \n ', 'invalid-json'],
];

describe('a single event', () => {
  it.each(EVENTS.map(([name, sent, code, pointer]) => ({ name, sent, code, pointer })))(
    '$name',
    async ({ sent, code, pointer }) => {
      expectProblem(await post('/analytics/event', [sent]), 400, code, pointer);
      // As one of a batch it fares the same, wherever it is JSON at all.
      if (code !== 'invalid-event' || sent.length > 100_000) return;
      const batch = await post('/analytics/events', [`[${sent}]`]);
      expectProblem(batch, 400, 'invalid-batch');
      expect(body(batch).rejected?.[0]?.errors.map((fault) => fault.pointer)).toContain(pointer);
    },
  );

  it('says of milliseconds that they are, and what to send', async () => {
    const answer = await post('/analytics/event', [text({ event_time: NOW_S * 1_000 })]);
    expect(body(answer).errors?.[0]?.detail).toContain(`looks like milliseconds: send seconds (${NOW_S})`);
  });

  it('names every fault of an event, at most 20', async () => {
    expect(body(await post('/analytics/event', ['{}'])).errors).toHaveLength(5);
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`x${n}`, 1]));
    expect(body(await post('/analytics/event', [text(many)])).errors).toHaveLength(20);
  });

  it('does not send the input back', async () => {
    const answer = await post('/analytics/event', ['{"secret-content']);
    expect(answer.text).not.toContain('secret');
  });
});

const JUNK = Buffer.from('junk');

/** name, path, chunks, headers, status, code */
const BODIES: readonly (readonly [
  string,
  string,
  readonly (string | Buffer)[],
  Record<string, string>,
  number,
  string,
])[] = [
  ['not UTF-8', '/analytics/event', [Buffer.from(text({ city: 'Å' }), 'latin1')], {}, 400, 'invalid-utf8'],
  [
    'a surrogate in UTF-8',
    '/analytics/event',
    [Buffer.concat([Buffer.from('"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"')])],
    {},
    400,
    'invalid-utf8',
  ],
  [
    'a batch that is not UTF-8',
    '/analytics/events',
    [Buffer.from(`[${text()},${text({ city: 'Å' })}]`, 'latin1')],
    {},
    400,
    'invalid-utf8',
  ],
  [
    'NDJSON of which no line is UTF-8',
    '/analytics/events',
    [Buffer.from(`${text({ city: 'Å' })}\n`.repeat(3), 'latin1')],
    NDJSON,
    400,
    'invalid-batch',
  ],
  ['a byte order mark alone as a batch', '/analytics/events', ['\ufeff'], {}, 400, 'invalid-json'],
  ['a byte order mark alone as NDJSON', '/analytics/events', ['\ufeff'], NDJSON, 400, 'empty-batch'],
  ['two byte order marks', '/analytics/events', [`\ufeff\ufeff[${text()}]`], {}, 400, 'invalid-json'],
  ['UTF-16', '/analytics/event', [Buffer.from(text(), 'utf16le')], {}, 400, 'invalid-json'],
  [
    'too large by Content-Length',
    '/analytics/event',
    ['x'.repeat(EVENT_BYTES_MAX + 1)],
    {},
    413,
    'body-too-large',
  ],
  [
    'too large in chunks',
    '/analytics/event',
    Array.from({ length: 80 }, () => ' '.repeat(4_096)),
    {},
    413,
    'body-too-large',
  ],
  [
    'a batch too large by Content-Length',
    '/analytics/events',
    [Buffer.alloc(10 * MIB + 1, ' ')],
    {},
    413,
    'body-too-large',
  ],
  [
    'a batch too large in chunks',
    '/analytics/events',
    Array.from({ length: 12 }, () => Buffer.alloc(MIB, ' ')),
    {},
    413,
    'body-too-large',
  ],
  [
    '100,000 nested arrays as an event',
    '/analytics/event',
    ['['.repeat(100_000) + ']'.repeat(100_000)],
    {},
    400,
    'invalid-event',
  ],
  [
    '100,000 nested arrays as a batch',
    '/analytics/events',
    ['['.repeat(100_000) + ']'.repeat(100_000)],
    {},
    400,
    'invalid-batch',
  ],
  [
    '100,000 nested objects in a batch',
    '/analytics/events',
    [`[${raw(`"properties":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)}]`],
    {},
    400,
    'invalid-batch',
  ],
  [
    'corrupt gzip',
    '/analytics/event',
    [Buffer.concat([gzipSync(text()).subarray(0, 20), Buffer.alloc(30, 7)])],
    { 'content-encoding': 'gzip' },
    400,
    'invalid-encoding',
  ],
  [
    'gzip that is cut off',
    '/analytics/event',
    [gzipSync(text()).subarray(0, -9)],
    { 'content-encoding': 'gzip' },
    400,
    'invalid-encoding',
  ],
  [
    'gzip that is none',
    '/analytics/event',
    [text()],
    { 'content-encoding': 'gzip' },
    400,
    'invalid-encoding',
  ],
  ['br that is none', '/analytics/event', [text()], { 'content-encoding': 'br' }, 400, 'invalid-encoding'],
  [
    'zstd that is none',
    '/analytics/events',
    [text()],
    { 'content-encoding': 'zstd' },
    400,
    'invalid-encoding',
  ],
  ...(
    [
      ['gzip', gzipSync],
      ['br', brotliCompressSync],
      ['zstd', zstdCompressSync],
    ] as const
  ).flatMap(([encoding, compress]) =>
    [1, 2].map(
      (chunks) =>
        [
          `regression: ${encoding} with bytes behind it, in ${chunks} chunks`,
          '/analytics/event',
          chunks === 1 ? [Buffer.concat([compress(text()), JUNK])] : [compress(text()), JUNK],
          { 'content-encoding': encoding },
          400,
          'invalid-encoding',
        ] as const,
    ),
  ),
  ...['iso-8859-1', '"utf-16"', 'UTF-16LE', ''].map(
    (charset) =>
      [
        `regression: a charset of ${charset}`,
        '/analytics/event',
        [text()],
        { 'content-type': `application/json; charset=${charset}` },
        415,
        'unsupported-media-type',
      ] as const,
  ),
  [
    'an unknown Content-Encoding',
    '/analytics/event',
    [text()],
    { 'content-encoding': 'lzma' },
    415,
    'unsupported-encoding',
  ],
  [
    'two Content-Encodings',
    '/analytics/event',
    [gzipSync(gzipSync(text()))],
    { 'content-encoding': 'gzip, gzip' },
    415,
    'unsupported-encoding',
  ],
  [
    'a Content-Encoding of an object',
    '/analytics/event',
    [text()],
    { 'content-encoding': 'constructor' },
    415,
    'unsupported-encoding',
  ],
  [
    'text/plain',
    '/analytics/event',
    [text()],
    { 'content-type': 'text/plain' },
    415,
    'unsupported-media-type',
  ],
  [
    'a form',
    '/analytics/events',
    ['a=b'],
    { 'content-type': 'application/x-www-form-urlencoded' },
    415,
    'unsupported-media-type',
  ],
  ['NDJSON on the single route', '/analytics/event', [text()], NDJSON, 415, 'unsupported-media-type'],
  [
    'an empty media type',
    '/analytics/event',
    [text()],
    { 'content-type': '' },
    415,
    'unsupported-media-type',
  ],
  [
    'a media type that is none',
    '/analytics/event',
    [text()],
    { 'content-type': 'json' },
    415,
    'unsupported-media-type',
  ],
  ['an empty array', '/analytics/events', ['[]'], {}, 400, 'empty-batch'],
  ['an object as a batch', '/analytics/events', [text()], {}, 400, 'invalid-json'],
  ['an empty body as a batch', '/analytics/events', [''], {}, 400, 'invalid-json'],
  ['no lines', '/analytics/events', ['\n \r\n'], NDJSON, 400, 'empty-batch'],
  [
    '10,001 events in an array',
    '/analytics/events',
    [`[${'{},'.repeat(10_000)}{}]`],
    {},
    413,
    'too-many-events',
  ],
  ['10,001 lines', '/analytics/events', ['{}\n'.repeat(10_001)], NDJSON, 413, 'too-many-events'],
  [
    '10,001 lines in chunks',
    '/analytics/events',
    Array.from({ length: 10_001 }, () => '{}\n'),
    NDJSON,
    413,
    'too-many-events',
  ],
  [
    '10,001 lines, compressed',
    '/analytics/events',
    [gzipSync('{}\n'.repeat(10_001))],
    { ...NDJSON, 'content-encoding': 'gzip' },
    413,
    'too-many-events',
  ],
  [
    '10,000 lines that are not JSON',
    '/analytics/events',
    ['{\n'.repeat(10_000)],
    NDJSON,
    400,
    'invalid-batch',
  ],
];

describe('a body', () => {
  it.each(BODIES)('%s', async (_name, path, chunks, headers, status, code) => {
    expectProblem(await post(path, chunks, headers), status, code);
  });

  it.each([
    ['/analytics/event', {}],
    ['/analytics/events', {}],
    ['/analytics/events', NDJSON],
  ])('regression: that is empty is said to be, on %s', async (path, headers) => {
    expect(body(await post(path, [''], headers)).detail).toBe('the body is empty');
  });

  it('without a media type', async () => {
    const answer = await exchange(
      `POST /analytics/event HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 415 /);
    expect(answer).toContain('"code":"unsupported-media-type"');
  });

  it('without anything', async () => {
    const answer = await exchange('POST /analytics/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 415 /);
    expect(answer).toContain('"code":"unsupported-media-type"');
  });

  it.each(['application/json', 'application/x-ndjson'])(
    'that is a bomb of 200 MB (%s) costs no memory',
    async (type) => {
      const bomb = await gzipOfZeros(200);
      const before = process.memoryUsage().rss;
      let peak = before;
      const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 5);
      const headers = { 'content-encoding': 'gzip', 'content-type': type };
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => post('/analytics/events', [bomb], headers)),
      );
      clearInterval(watch);
      for (const answer of answers) expectProblem(answer, 413, 'body-too-large');
      // Eight bodies of at most 10 MiB, each gathered once; far from eight times 200 MB.
      expect(peak - before).toBeLessThan(256 * MIB);
    },
  );
});

/** Compressed piece by piece, so that the test does not hold them either. */
async function gzipOfZeros(megabytes: number): Promise<Buffer> {
  const piece = Buffer.alloc(MIB);
  const gzip = createGzip();
  const chunks: Buffer[] = [];
  gzip.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (let bytes = 0; bytes < megabytes * MIB; bytes += piece.length) {
    if (!gzip.write(piece)) await once(gzip, 'drain');
  }
  gzip.end();
  await once(gzip, 'end');
  return Buffer.concat(chunks);
}

/** Writes bytes on a connection of its own and returns all that comes back until it is closed. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(bytes);
  let answer = '';
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk as string;
  const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
  if (status !== undefined) statuses.push(Number(status));
  return answer;
}

describe('a connection', () => {
  it('whose body does not come in time is answered with 408 and Retry-After', async () => {
    const startedMs = performance.now();
    const answer = await exchange(
      'POST /analytics/event HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"type"',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"request-timeout"');
    expect(answer).toMatch(/retry-after: \d/i);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  it('that is not HTTP is answered with 400', async () => {
    expect(await exchange('hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"bad-request"/);
  });

  it('with headers over the limit is answered with 431', async () => {
    const answer = await exchange(
      `GET /analytics/daily HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(20_000)}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 431 [\s\S]*"code":"headers-too-large"/);
  });

  it('with two lengths is answered with 400', async () => {
    const answer = await exchange(
      'POST /analytics/event HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('that ends before its body stores nothing and harms nobody', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST /analytics/event HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"type"',
    );
    socket.resetAndDestroy();
    await once(socket, 'close');
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });
});

describe('after all of that', () => {
  it('nothing was stored, nothing was our fault, and the next event is taken', async () => {
    expect(statuses.length).toBeGreaterThan(EVENTS.length + BODIES.length);
    expect(statuses.filter((status) => status < 400 || status >= 500)).toEqual([]);
    const daily = await fetch(`${url}/analytics/daily`);
    expect(await daily.text()).toBe('{"total_users":0,"daily_stats":[]}');
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('daybook_events_accepted_total 0\n');
    expect(metrics).toContain('daybook_journal_events 0\n');
    expect(metrics).not.toMatch(/status="5/);
    expect(await (await fetch(`${url}/analytics/dead-letters`)).json()).toEqual({ dead_letters: [] });
    expect((await post('/analytics/event', [text()])).text).toBe('{"accepted":1}');
    await expect
      .poll(async () => (await fetch(`${url}/analytics/daily`)).text(), { timeout: 5_000 })
      .toMatch(/^\{"total_users":1,/);
  });
});
