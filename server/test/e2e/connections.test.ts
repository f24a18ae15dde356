import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
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
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n${headers}\r\n`;

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

  it('on a route that is not there is a problem all the same', async () => {
    const { status, problem } = await exchange(post('/analytics/nothing'));
    expect([404, 408]).toContain(status);
    expect(problem['request_id']).toMatch(/./);
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
      'POST /analytics/event HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
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

  it('an expectation of 100-continue is met', async () => {
    const { all } = await exchange(`${head}host: x\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n`);
    expect(all).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });

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
