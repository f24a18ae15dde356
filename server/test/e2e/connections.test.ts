import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, METHODS, request, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp, type App } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';

/* What Node would answer by itself, with a bare status or past the log: wire, metric and log say the same. */

const ORIGIN = 'https://app.example';
const KEY = 'write-key-of-the-tests';
const MIB = 1_024 * 1_024;
const logged: Record<string, unknown>[] = [];
let app: App;
let url: string;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-'));
  const config = readConfig({
    PORT: '0',
    DAYBOOK_DATA_DIR: directory,
    DAYBOOK_REQUEST_TIMEOUT_MS: '500',
    DAYBOOK_CORS_ORIGINS: ORIGIN,
    DAYBOOK_WRITE_KEYS: KEY,
  });
  const lines = new Writable({
    write: (line: Buffer, _encoding, written) => {
      logged.push(JSON.parse(line.toString('utf8')) as Record<string, unknown>);
      written();
    },
  });
  app = await createApp(config, pino({ level: 'info' }, lines));
  url = await app.listen();
});

afterAll(async () => {
  await app.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly problem: Record<string, unknown>;
  /** Everything that came on the connection. */
  readonly all: string;
}

/** Writes bytes on a connection of its own and reads until the server closes it. */
async function exchange(bytes: string | Buffer): Promise<Answer> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(bytes);
  let all = '';
  for await (const chunk of socket.setEncoding('utf8')) all += chunk as string;
  const [headers = '', body = ''] = all.split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(all)?.[1]),
    headers,
    problem: body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : {},
    all,
  };
}

/** How often requests were answered so, by the metrics. */
async function counted(labels: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text
    .split('\n')
    .find((one) => one.startsWith(`daybook_request_duration_seconds_count{${labels}}`));
  return Number(line?.split(' ').at(-1) ?? 0);
}

async function rejected(reason: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(
    new RegExp(`daybook_events_rejected_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1] ?? 0,
  );
}

async function logLine(requestId: unknown): Promise<Record<string, unknown> | undefined> {
  await sleep(20);
  return logged.find((line) => line['request_id'] === requestId);
}

const post = (path: string, headers = '') =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n${headers}\r\n`;

describe('a body that stalls', () => {
  it.each([
    ['an event', '/analytics/event', '', '{"type"'],
    ['a batch', '/analytics/events', '', '[{"type"'],
    [
      'a compressed event',
      '/analytics/event',
      'content-encoding: zstd\r\n',
      zstdCompressSync('{}').subarray(0, 6),
    ],
    ['an event of a page elsewhere', '/analytics/event', `origin: ${ORIGIN}\r\n`, '{"type"'],
  ])(
    'regression: %s is a 408 on the wire, in the metrics and in the log',
    async (_name, path, headers, body) => {
      const labels = `method="POST",route="${path}",status="408"`;
      const [before, refused, bad] = [
        await counted(labels),
        await rejected('request-timeout'),
        await rejected('bad-request'),
      ];
      const {
        status,
        headers: sent,
        problem,
      } = await exchange(Buffer.concat([Buffer.from(post(path, headers)), Buffer.from(body)]));
      expect([status, problem['code'], problem['instance']]).toEqual([408, 'request-timeout', path]);
      expect(problem['request_id']).toMatch(/./);
      expect(sent).toMatch(/^retry-after: 1$/im);
      expect(sent).toMatch(/^connection: close$/im);
      expect(sent.includes(`access-control-allow-origin: ${ORIGIN}`)).toBe(headers.startsWith('origin'));
      expect(await counted(labels)).toBe(before + 1);
      expect(await rejected('request-timeout')).toBe(refused + 1);
      expect(await rejected('bad-request')).toBe(bad);
      expect(await logLine(problem['request_id'])).toMatchObject({
        method: 'POST',
        route: path,
        status: 408,
      });
    },
  );

  it('regression: whose answer was given already gets no second one', async () => {
    const { status, all } = await exchange(
      'GET /health/live HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc',
    );
    expect(status).toBe(200);
    expect(all.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  it('regression: on a route that is not there is not waited for', async () => {
    const startedMs = performance.now();
    const { status, headers, problem } = await exchange(post('/analytics/nothing'));
    expect([status, problem['code']]).toEqual([404, 'not-found']);
    expect(headers).toMatch(/^connection: close$/im);
    expect(performance.now() - startedMs).toBeLessThan(400);
  });
});

describe('a request that no route sees', () => {
  const head = 'GET /analytics/daily HTTP/1.1\r\n';

  it.each([
    ['headers that stall', `${head}host: x\r\n`, 408, 'request-timeout', ''],
    ['no HTTP', 'hello\r\n\r\n', 400, 'bad-request', ''],
    [
      'headers over the limit',
      `${head}host: x\r\na: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers-too-large',
      '',
    ],
    [
      'a chunk that is none',
      `POST /analytics/event HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`,
      400,
      'bad-request',
      '/analytics/event',
    ],
    ['no Host', `${head}connection: close\r\n\r\n`, 400, 'bad-request', '/analytics/daily'],
    [
      'no Host for an event',
      'POST /analytics/event HTTP/1.1\r\nconnection: close\r\n\r\n',
      400,
      'bad-request',
      '/analytics/event',
    ],
    [
      'an expectation',
      `${head}host: x\r\nexpect: tea\r\nconnection: close\r\n\r\n`,
      417,
      'expectation-failed',
      '/analytics/daily',
    ],
    [
      'a URL over the limit',
      `GET /${'x'.repeat(9_000)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
      414,
      'uri-too-long',
      `/${'x'.repeat(199)}`,
    ],
    [
      'a query over the limit',
      `GET /analytics/daily?from=${'1'.repeat(9_000)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
      414,
      'uri-too-long',
      '/analytics/daily',
    ],
  ])(
    'regression: %s is a problem document, counted and logged',
    async (_name, bytes, status, code, instance) => {
      const answer = await exchange(bytes);
      expect([answer.status, answer.problem['code'], answer.problem['instance']]).toEqual([
        status,
        code,
        instance,
      ]);
      expect(answer.headers).toMatch(/^content-type: application\/problem\+json; charset=utf-8$/im);
      expect(answer.headers).toMatch(/^connection: close$/im);
      const line = await logLine(answer.problem['request_id']);
      expect(line).toMatchObject({ status });
      const { method, route } = line as Record<string, string>;
      expect(await counted(`method="${method}",route="${route}",status="${status}"`)).toBeGreaterThan(0);
      expect(answer.all.length).toBeLessThan(1_500);
    },
  );

  it('HTTP/1.0 needs no Host', async () => {
    expect((await exchange('GET /health/live HTTP/1.0\r\n\r\n')).status).toBe(200);
  });

  it('regression: an unknown path is sent back in part only', async () => {
    const answer = await fetch(`${url}/${'y'.repeat(5_000)}`);
    const problem = (await answer.json()) as Record<string, string>;
    expect([answer.status, problem['code']]).toEqual([404, 'not-found']);
    expect(problem['instance']).toBe(`/${'y'.repeat(199)}`);
    expect(problem['detail']!.length).toBeLessThan(300);
  });
});

/** Sends a body of many MiB with no regard for the answer, and reads what comes back. */
async function sendMuch(path: string, headers = ''): Promise<Answer & { readonly readBytes: number }> {
  const server: Server = app.nest.getHttpServer();
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const [theirs] = await accepted;
  const chunk = Buffer.alloc(MIB, ' ');
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}content-length: ${10 * MIB}\r\n\r\n`,
  );
  for (let sent = 0; sent < 10; sent += 1) socket.write(chunk);
  let all = '';
  socket.setEncoding('latin1').on('data', (text: string) => (all += text));
  await new Promise((closed) => socket.on('error', () => undefined).once('close', closed));
  const [head = '', body = ''] = all.split('\r\n\r\n');
  const problem = body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : {};
  return {
    status: Number(/ (\d{3}) /.exec(all)?.[1]),
    headers: head,
    problem,
    all,
    readBytes: theirs.bytesRead,
  };
}

describe('a body that is not taken', () => {
  it.each([
    ['/nope', '', 404],
    ['/analytics/daily', '', 405],
    ['/analytics/event', `authorization: Bearer ${KEY}\r\n`, 413],
    ['/analytics/events', '', 401],
    ['/analytics/events', `origin: ${ORIGIN}\r\n`, 401],
    ['/analytics/events', `authorization: Bearer ${KEY}\r\ncontent-encoding: lzw\r\n`, 415],
  ])(
    'regression: on %s is not read, and the client still gets its answer (%#)',
    async (path, headers, status) => {
      const answer = await sendMuch(path, headers);
      expect(answer.status).toBe(status);
      expect(answer.problem['status']).toBe(status);
      expect(answer.headers).toMatch(/^connection: close$/im);
      // Of ten MiB.
      expect(answer.readBytes).toBeLessThan(300 * 1_024);
    },
  );

  it.each(['event', 'events'])(
    'regression: that can never fit is too large, however full the store is: %s',
    async (path) => {
      const { status, problem } = await exchange(
        `POST /analytics/${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${10 ** 15}\r\n\r\n`,
      );
      expect([status, problem['code']]).toEqual([413, 'body-too-large']);
    },
  );

  it('regression: in tiny chunks is not read to its end, and none of them is kept', async () => {
    const server: Server = app.nest.getHttpServer();
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const [theirs] = await accepted;
    const first = `${(65_000).toString(16)}\r\n${' '.repeat(65_000)}\r\n`;
    const requests = once(server, 'request') as Promise<[IncomingMessage]>;
    socket.write(
      `POST /analytics/event HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${first}${'1\r\n \r\n'.repeat(70_000)}`,
    );
    const [theirRequest] = await requests;
    let kept = 0;
    const watch = setInterval(() => (kept = Math.max(kept, theirRequest.readableLength)), 5);
    let all = '';
    socket.setEncoding('latin1').on('data', (text: string) => (all += text));
    await new Promise((closed) => socket.on('error', () => undefined).once('close', closed));
    clearInterval(watch);
    expect(all).toMatch(/^HTTP\/1\.1 401 /);
    expect(kept).toBeLessThan(1_000);
    // Of 485,000.
    expect(theirs.bytesRead).toBeLessThan(300 * 1_024);
  });

  it('regression: without a key gets its 401 twenty times out of twenty, though the client sends on', async () => {
    const statuses: number[] = [];
    for (let times = 0; times < 20; times += 1) {
      statuses.push(
        await new Promise<number>((resolve, reject) => {
          const sent = request(`${url}/analytics/events`, {
            agent: false,
            method: 'POST',
            headers: { 'content-type': 'application/json' },
          });
          sent.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode!)));
          sent.on('error', (error) => setTimeout(reject, 500, error)).end(Buffer.alloc(200 * 1_024, ' '));
        }),
      );
    }
    expect(statuses).toEqual(statuses.map(() => 401));
  });

  it('on a GET is thrown away, and the report is answered', async () => {
    const { status, headers } = await exchange(
      'GET /docs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{"a":',
    );
    expect(status).toBe(200);
    expect(headers).toMatch(/^connection: close$/im);
  });
});

describe('Expect: 100-continue', () => {
  const expecting = (path: string, key: string) =>
    exchange(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
    );

  it('is met before a body is read', async () => {
    expect((await expecting('/analytics/event', KEY)).all).toMatch(
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 400 /,
    );
  });

  it.each([
    ['/analytics/event', 'another-key-than-needed', 401],
    ['/analytics/daily', KEY, 405],
    ['/nope', KEY, 404],
  ])('regression: gets the answer instead where the body is not read: %s', async (path, key, status) => {
    const { all, headers } = await expecting(path, key);
    expect(all).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(headers).toMatch(/^connection: close$/im);
  });
});

it(
  'regression: a connection has at most sixteen posts under way; beyond them it is closed',
  { timeout: 5_000 },
  async () => {
    const body = '{"type":"event","event_name":"e","user_id":"u","session_id":"s","event_time":1764000000}';
    const one = `POST /analytics/event HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(one.repeat(40));
    let all = '';
    for await (const chunk of socket.setEncoding('utf8')) all += chunk as string;
    const statuses = [...all.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
    expect(statuses).toEqual([...Array.from({ length: 16 }, () => 200), 503]);
    expect(all.slice(all.indexOf('HTTP/1.1 503'))).toMatch(/^connection: close$/im);
  },
);

/** One request without Node's client, which refuses some of them. */
const odd = (method: string, target: string, headers = '', body = '') =>
  exchange(
    `${method} ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`,
  );

describe('every method that Node takes', () => {
  // CONNECT asks for a tunnel, which the server never gives: Node closes the connection.
  const methods = METHODS.filter((method) => method !== 'CONNECT');
  const known: Record<string, readonly string[]> = { '/analytics/event': ['POST'], '/docs': ['GET', 'HEAD'] };

  it.each(methods)('regression: %s has no 5xx and no stack in the log', async (method) => {
    const before = logged.length;
    for (const path of ['/nope', '/nope/%74', ...Object.keys(known)]) {
      if (known[path]?.includes(method)) continue;
      for (const body of ['', '{"broken', '{}']) {
        const answer = await odd(method, path, 'content-type: application/json\r\n', body);
        const isKnown = Object.hasOwn(known, path);
        expect(answer.status, `${path} ${body}`).toBe(isKnown ? 405 : 404);
        if (isKnown) expect(answer.headers).toContain(`\r\nallow: ${known[path]!.join(', ')}\r\n`);
        if (method !== 'HEAD') expect(answer.problem['status']).toBe(answer.status);
      }
    }
    await sleep(20);
    const errors = logged.slice(before).filter((line) => Number(line['level']) >= 50 || 'stack' in line);
    expect(errors).toEqual([]);
  });
});

describe('a spelling of a URL', () => {
  const EVENT = JSON.stringify({
    type: 'event',
    event_name: 'e',
    user_id: 'u',
    session_id: 's',
    event_time: 1_764_000_000,
  });
  const write = `authorization: Bearer ${KEY}\r\n`;
  const json = 'content-type: application/json\r\n';

  /** name, method, target, headers, body, status, route in the metrics */
  const CASES: readonly (readonly [string, string, string, string, string, number, string])[] = [
    ['plain', 'POST', '/analytics/event', write + json, EVENT, 200, '/analytics/event'],
    ['a slash at the end', 'POST', '/analytics/event/', write + json, EVENT, 200, '/analytics/event'],
    ['a query', 'POST', '/analytics/event?a=b', write + json, EVENT, 200, '/analytics/event'],
    ['encoded', 'POST', '/analytics/even%74', write + json, EVENT, 200, '/analytics/event'],
    ['absolute', 'POST', 'http://x/analytics/event', write + json, EVENT, 200, '/analytics/event'],
    [
      'absolute with all',
      'POST',
      'HTTP://x:80/analytics/even%74/?a#b',
      write + json,
      EVENT,
      200,
      '/analytics/event',
    ],
    ['an encoded slash', 'POST', '/analytics%2Fevent', write + json, EVENT, 404, 'none'],
    ['two slashes', 'POST', '//analytics/event', write + json, EVENT, 404, 'none'],
    ['other case', 'POST', '/Analytics/event', write + json, EVENT, 404, 'none'],
    ['a broken escape', 'POST', '/analytics/even%7', write + json, EVENT, 400, 'none'],
    ['not UTF-8', 'POST', '/analytics/even%ff', write + json, EVENT, 400, 'none'],
    [
      'an odd type without a key',
      'POST',
      '/analytics/event',
      'content-type: a/b\r\n',
      EVENT,
      401,
      '/analytics/event',
    ],
    [
      'an odd type',
      'POST',
      '/analytics/event',
      `${write}content-type: a/b\r\n`,
      EVENT,
      415,
      '/analytics/event',
    ],
    ['no type, no key', 'POST', '/analytics/events', '', EVENT, 401, '/analytics/events'],
    ['broken JSON to nowhere', 'POST', '/nope', json, '{"broken', 404, 'none'],
    ['broken JSON to a report', 'POST', '/analytics/daily', json, '{"broken', 405, '/analytics/daily'],
    ['another method', 'QUERY', '/analytics/even%74', json, '{"broken', 405, '/analytics/event'],
    ['OPTIONS', 'OPTIONS', '/analytics/event', '', '', 405, '/analytics/event'],
    ['OPTIONS to nowhere', 'OPTIONS', '/nope', '', '', 404, 'none'],
    ['OPTIONS *', 'OPTIONS', '*', '', '', 404, 'none'],
    ['a report', 'GET', '/analytics/daily', '', '', 200, '/analytics/daily'],
    [
      'a report, encoded',
      'GET',
      '/analytics/dail%79?from=2024-01-01&to=2024-01-02',
      '',
      '',
      200,
      '/analytics/daily',
    ],
    ['a report, absolute', 'GET', 'http://x/analytics/daily/', '', '', 200, '/analytics/daily'],
    ['a bad query', 'GET', '/analytics/daily?from=x', '', '', 400, '/analytics/daily'],
    ['a body on a report', 'GET', '/analytics/daily', json, '{"broken', 200, '/analytics/daily'],
    ['the root', 'GET', 'http://x', '', '', 302, '/'],
  ];

  it.each(CASES)(
    'regression: %s has one status with and without Origin, and one route in the metrics',
    async (_name, method, target, headers, body, status, route) => {
      const labels = `method="${method}",route="${route}",status="${status}"`;
      const before = await counted(labels);
      const plain = await odd(method, target, headers, body);
      const ours = await odd(method, target, `${headers}origin: ${ORIGIN}\r\n`, body);
      const other = await odd(method, target, `${headers}origin: https://elsewhere.example\r\n`, body);
      expect([plain.status, ours.status, other.status]).toEqual([status, status, status]);
      expect(await counted(labels)).toBe(before + 3);
      for (const answer of [plain, ours, other]) {
        expect(answer.problem['code']).toBe(plain.problem['code']);
        expect(answer.headers).toMatch(/^x-content-type-options: nosniff$/im);
        expect(answer.headers).toMatch(/^content-security-policy: .*frame-ancestors 'none'/im);
        expect(answer.headers).not.toMatch(/text\/plain/);
        expect(/^access-control-allow-origin: (.*)$/im.exec(answer.headers)?.[1]).toBe(
          answer === ours ? ORIGIN : undefined,
        );
      }
    },
  );

  it('has the security headers also where the request could not be read', async () => {
    const { status, headers } = await exchange('hello\r\n\r\n');
    expect(status).toBe(400);
    expect(headers).toMatch(/^x-content-type-options: nosniff$/im);
    expect(headers).toMatch(/^content-security-policy: .*frame-ancestors 'none'/im);
  });

  it('a preflight says what the path takes', async () => {
    const asks = `origin: ${ORIGIN}\r\naccess-control-request-method: POST\r\naccess-control-request-headers: authorization, content-type\r\n`;
    const { status, headers } = await odd('OPTIONS', '/analytics/event', asks);
    expect(status).toBe(204);
    expect(headers).toMatch(/^access-control-allow-methods: POST$/im);
    expect(headers).toMatch(/^access-control-allow-headers: authorization, content-type$/im);
    expect((await odd('OPTIONS', '/nope', asks)).status).toBe(404);
  });
});
