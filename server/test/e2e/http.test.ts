import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { EVENT_EXAMPLE } from '../../src/event/schema.ts';

const WRITE_KEY = 'write-key-of-the-tests';
const READ_KEY = 'read-key-of-the-tests';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is when it is a text or bytes, else as JSON. */
  readonly body?: unknown;
}

/** One request, as a client makes it. */
function call(url: string, { method, headers = {}, body }: Call = {}): Promise<Answer> {
  const bytes =
    body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const type = bytes === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        agent: false,
        method: method ?? (bytes === undefined ? 'GET' : 'POST'),
        headers: { ...type, ...headers },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      },
    );
    sent.on('error', reject).end(bytes);
  });
}

/** A server of the test's own on a free port, gone at its end. */
async function open(env: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-'));
  const config = readConfig({
    PORT: '0',
    DAYBOOK_DATA_DIR: directory,
    DAYBOOK_LOG_LEVEL: 'silent',
    DAYBOOK_LOADER_INTERVAL_MS: '50',
    ...env,
  });
  const app = await createApp(config);
  onTestFinished(async () => {
    await app.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const url = await app.listen();
  return {
    url,
    event: (body: unknown, headers: Record<string, string> = {}) =>
      call(`${url}/analytics/event`, { body, headers }),
    events: (body: unknown, headers: Record<string, string> = {}) =>
      call(`${url}/analytics/events`, { body, headers }),
    get: (path: string, headers: Record<string, string> = {}) => call(url + path, { headers }),
    /** The daily report, once it counts this many users. */
    daily: async (users: number, query = '') => {
      const deadline = performance.now() + 5_000;
      for (;;) {
        const answer = await call(`${url}/analytics/daily${query}`);
        if (answer.text.startsWith(`{"total_users":${users},`)) return answer;
        if (performance.now() > deadline) throw new Error(`never ${users} users: ${answer.text}`);
        await sleep(10);
      }
    },
  };
}

/** An event of a user and a session at a moment. */
const at = (time: string, user = 'u', session = `s-${user}`) => ({
  type: 'event',
  event_name: 'e',
  user_id: user,
  session_id: session,
  event_time: Date.parse(time) / 1_000,
});

const json = (answer: Answer) => JSON.parse(answer.text) as Record<string, unknown>;

describe('POST /analytics/event', () => {
  it('stores the example, and one second later it is in the documented report', async () => {
    const server = await open({ DAYBOOK_LOADER_INTERVAL_MS: '' });
    const stored = await server.event(EVENT_EXAMPLE);
    const acknowledgedMs = performance.now();
    expect([stored.status, stored.text]).toEqual([200, '{"accepted":1}']);
    expect(stored.headers['content-type']).toBe('application/json; charset=utf-8');
    const report = await server.daily(1);
    expect(performance.now() - acknowledgedMs).toBeLessThan(1_000);
    expect(report.text).toBe(
      '{"total_users":1,"daily_stats":[{"date":"12/01/2021","average_session_duration":0,"active_user_count":1,"new_user_count":1}]}',
    );
  });

  it('counts an event_id once, however often it is sent', async () => {
    const server = await open();
    const event = { ...at('2024-03-01T10:00:00Z'), event_id: 'same' };
    for (let n = 0; n < 3; n += 1) expect((await server.event(event)).status).toBe(200);
    expect((await server.events([event, event])).status).toBe(200);
    await server.event(at('2024-03-01T10:00:00Z', 'last'));
    await server.daily(2);
    expect((await server.get('/metrics')).text).toContain('daybook_events_duplicate_total 4\n');
  });

  it.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ])('takes a body compressed with %s', async (encoding, compress) => {
    const server = await open();
    const text = JSON.stringify({ ...at('2024-03-01T10:00:00Z'), properties: { name: 'Ä€😀' } });
    const answer = await server.event(compress(Buffer.from(text)), { 'content-encoding': encoding });
    expect([answer.status, answer.text]).toEqual([200, '{"accepted":1}']);
    await server.daily(1);
  });
});

describe('POST /analytics/events', () => {
  it('stores a JSON array and NDJSON with blank lines, CRLF and charset', async () => {
    const server = await open();
    const two = [at('2024-03-01T10:00:00Z', 'a'), at('2024-03-01T10:00:00Z', 'b')];
    expect((await server.events(two)).text).toBe('{"accepted":2}');
    const lines = `\r\n${JSON.stringify(at('2024-03-01T10:00:00Z', 'c'))}\r\n\n${JSON.stringify(at('2024-03-01T10:00:00Z', 'd'))}`;
    const answer = await server.events(lines, { 'content-type': 'application/x-ndjson; Charset="UTF-8"' });
    expect([answer.status, answer.text]).toEqual([200, '{"accepted":2}']);
    await server.daily(4);
  });

  it('takes a compressed batch of 10,000', async () => {
    const server = await open();
    const events = Array.from({ length: 10_000 }, (_, n) => at('2024-03-01T10:00:00Z', `u-${n}`));
    const answer = await server.events(zstdCompressSync(JSON.stringify(events)), {
      'content-encoding': 'zstd',
    });
    expect([answer.status, answer.text]).toEqual([200, '{"accepted":10000}']);
    await server.daily(10_000);
  });

  it('stores the good ones and says what is wrong with each bad one: 207', async () => {
    const server = await open();
    const good = at('2024-03-01T10:00:00Z');
    const bad = { ...good, event_id: 'mine', user_id: 7 };
    const answer = await server.events([good, bad, 'text', { ...good, user_id: 'v' }]);
    expect(answer.status).toBe(207);
    expect(json(answer)).toEqual({
      accepted: 2,
      rejected: [
        {
          index: 1,
          event_id: 'mine',
          code: 'invalid-event',
          errors: [{ pointer: '/user_id', detail: 'must be a string' }],
        },
        {
          index: 2,
          code: 'invalid-event',
          errors: [{ pointer: '', detail: 'an event must be a JSON object' }],
        },
      ],
      rejected_total: 2,
    });
    await server.daily(2);
  });

  it('says which lines of NDJSON are not JSON', async () => {
    const server = await open();
    const answer = await server.events(`{"type":\n${JSON.stringify(at('2024-03-01T10:00:00Z'))}\n`, {
      'content-type': 'application/x-ndjson',
    });
    expect(answer.status).toBe(207);
    expect(json(answer)).toMatchObject({ accepted: 1, rejected: [{ index: 0, code: 'invalid-json' }] });
  });

  it('rejects a line of NDJSON that is not UTF-8, and stores the others', async () => {
    const server = await open();
    const good = JSON.stringify(at('2024-03-01T10:00:00Z', 'ä'));
    const latin1 = Buffer.from(JSON.stringify(at('2024-03-01T10:00:00Z', 'ö')), 'latin1');
    const body = Buffer.concat([Buffer.from(`${good}\n`), latin1, Buffer.from(`\n${good}\n`)]);
    const answer = await server.events(body, { 'content-type': 'application/x-ndjson' });
    expect(answer.status).toBe(207);
    expect(json(answer)).toEqual({
      accepted: 2,
      rejected: [{ index: 1, code: 'invalid-utf8', errors: [{ pointer: '', detail: 'not valid UTF-8' }] }],
      rejected_total: 1,
    });
    await server.daily(1);
  });

  it('takes a body that begins with a byte order mark, of any kind', async () => {
    const server = await open();
    const event = JSON.stringify(at('2024-03-01T10:00:00Z'));
    const ndjson = { 'content-type': 'application/x-ndjson' };
    const answers = [
      await server.event(`\ufeff${event}`),
      await server.events(`\ufeff[${event}]`),
      await server.events(`\ufeff${event}\n${event}\n`, ndjson),
    ];
    expect(answers.map(({ status, text }) => [status, text])).toEqual(
      [1, 1, 2].map((accepted) => [200, JSON.stringify({ accepted })]),
    );
  });

  it('stores nothing when none is good: 400, the first 100 listed, all counted', async () => {
    const server = await open();
    const answer = await server.events(Array.from({ length: 250 }, () => ({})));
    expect(answer.status).toBe(400);
    const body = json(answer) as { rejected: unknown[] };
    expect(body).toMatchObject({ code: 'invalid-batch', status: 400, accepted: 0, rejected_total: 250 });
    expect(body.rejected).toHaveLength(100);
    const mixed = await server.events([
      ...Array.from({ length: 250 }, () => ({})),
      at('2024-03-01T10:00:00Z'),
    ]);
    expect(mixed.status).toBe(207);
    expect(json(mixed)).toMatchObject({ accepted: 1, rejected_total: 250 });
    expect((json(mixed) as { rejected: unknown[] }).rejected).toHaveLength(100);
    await server.daily(1);
  });
});

describe('GET /analytics/daily', () => {
  it('answers with no users before the first event', async () => {
    const server = await open();
    expect((await server.get('/analytics/daily')).text).toBe('{"total_users":0,"daily_stats":[]}');
  });

  it('counts users, new users and sessions by day, newest first, also across midnight', async () => {
    const server = await open();
    await server.events([
      at('2024-03-01T23:59:00Z', 'a', 's1'),
      at('2024-03-02T00:01:00Z', 'a', 's1'),
      at('2024-03-02T12:00:00Z', 'b', 's2'),
      at('2024-03-02T12:00:45Z', 'b', 's2'),
      at('2024-03-02T13:00:00Z', 'b', 's3'),
    ]);
    const { text } = await server.daily(2, '?date_format=iso');
    expect(JSON.parse(text)).toEqual({
      total_users: 2,
      daily_stats: [
        { date: '2024-03-02', average_session_duration: 22.5, active_user_count: 2, new_user_count: 1 },
        { date: '2024-03-01', average_session_duration: 120, active_user_count: 1, new_user_count: 1 },
      ],
    });
  });

  it('lists the empty days of a range with zeros, and total_users of all days', async () => {
    const server = await open();
    await server.events([at('2024-03-01T10:00:00Z', 'a'), at('2024-03-04T10:00:00Z', 'b')]);
    await server.daily(2);
    const zero = { average_session_duration: 0, active_user_count: 0, new_user_count: 0 };
    const range = await server.get('/analytics/daily?from=2024-03-02&to=2024-03-05&date_format=dmy');
    expect(json(range)).toEqual({
      total_users: 2,
      daily_stats: [
        { date: '05/03/2024', ...zero },
        { date: '04/03/2024', ...zero, active_user_count: 1, new_user_count: 1 },
        { date: '03/03/2024', ...zero },
        { date: '02/03/2024', ...zero },
      ],
    });
    const until = await server.get('/analytics/daily?to=2024-03-02&date_format=iso');
    expect(json(until)).toEqual({
      total_users: 2,
      daily_stats: [
        { date: '2024-03-02', ...zero },
        { date: '2024-03-01', ...zero, active_user_count: 1, new_user_count: 1 },
      ],
    });
  });

  it('cuts the days in the timezone asked for, and by default in its own', async () => {
    const server = await open({ DAYBOOK_TIMEZONE: 'America/New_York' });
    await server.event(at('2024-03-10T04:30:00Z'));
    const dates = async (query: string) =>
      (json(await server.daily(1, query)) as { daily_stats: { date: string }[] }).daily_stats.map(
        ({ date }) => date,
      );
    expect(await dates('')).toEqual(['03/09/2024']);
    expect(await dates('?timezone=UTC')).toEqual(['03/10/2024']);
    expect(await dates('?timezone=Europe/Helsinki&date_format=iso')).toEqual(['2024-03-10']);
    expect(await dates('?timezone=Pacific/Honolulu&date_format=iso&from=2024-03-08&to=2024-03-09')).toEqual([
      '2024-03-09',
      '2024-03-08',
    ]);
  });

  it('answers 304 to the ETag that it gave, and HEAD without a body', async () => {
    const server = await open();
    await server.event(at('2024-03-01T10:00:00Z'));
    const { headers, text } = await server.daily(1);
    const etag = headers.etag!;
    expect(etag).toMatch(/^"[^"]+"$/);
    const same = await server.get('/analytics/daily', { 'if-none-match': `"other", W/${etag}` });
    expect([same.status, same.text, same.headers.etag]).toEqual([304, '', etag]);
    expect((await server.get('/analytics/daily', { 'if-none-match': '"other"' })).status).toBe(200);
    const head = await call(`${server.url}/analytics/daily`, { method: 'HEAD' });
    expect([head.status, head.text, head.headers.etag]).toEqual([200, '', etag]);
    expect(head.headers['content-length']).toBe(String(Buffer.byteLength(text)));
    await server.event(at('2024-03-01T10:00:00Z', 'another'));
    await server.daily(2);
    expect((await server.get('/analytics/daily', { 'if-none-match': etag })).status).toBe(200);
  });

  it.each([
    ['from=2024-02-30', '/from'],
    ['to=yesterday', '/to'],
    ['from=2024-03-02&to=2024-03-01', '/from'],
    ['from=1900-01-01&to=2024-01-01', '/to'],
    ['timezone=Mars/Olympus', '/timezone'],
    ["timezone='%20OR%201=1", '/timezone'],
    ['date_format=roman', '/date_format'],
    ['form=2024-01-01', '/form'],
    ['from=2024-01-01&from=2024-01-02', '/from'],
  ])('refuses ?%s with 400 at %s', async (query, pointer) => {
    const server = await open();
    const answer = await server.get(`/analytics/daily?${query}`);
    expect(answer.status).toBe(400);
    expect(json(answer)).toMatchObject({ code: 'invalid-query', errors: [{ pointer }] });
  });

  it('refuses an open range that is longer than the limit', async () => {
    const server = await open();
    const answer = await server.get('/analytics/daily?from=1990-01-01');
    expect(answer.status).toBe(400);
    expect(json(answer)).toMatchObject({ code: 'invalid-query' });
  });
});

describe('keys', () => {
  const env = { DAYBOOK_WRITE_KEYS: WRITE_KEY, DAYBOOK_READ_KEYS: `${READ_KEY},another-read-key-here` };
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

  it('lets each key do its own and answers 401 to the rest', async () => {
    const server = await open(env);
    const event = at('2024-03-01T10:00:00Z');
    for (const headers of [{}, bearer(READ_KEY), bearer(`${WRITE_KEY}x`), { authorization: WRITE_KEY }]) {
      for (const answer of [await server.event(event, headers), await server.events([event], headers)]) {
        expect(answer.status).toBe(401);
        expect(answer.headers['www-authenticate']).toBe('Bearer realm="daybook"');
        expect(answer.headers['content-type']).toContain('application/problem+json');
        expect(json(answer)).toMatchObject({ code: 'unauthorized', status: 401 });
      }
    }
    expect((await server.event(event, bearer(WRITE_KEY))).status).toBe(200);
    for (const path of ['/analytics/daily', '/analytics/dead-letters', '/metrics']) {
      expect((await server.get(path)).status, path).toBe(401);
      expect((await server.get(path, bearer(WRITE_KEY))).status, path).toBe(401);
      expect((await server.get(path, bearer(READ_KEY))).status, path).toBe(200);
      expect((await server.get(path, bearer('another-read-key-here'))).status, path).toBe(200);
    }
    expect((await server.get('/health/live')).status).toBe(200);
    expect((await server.get('/health/ready')).status).toBe(200);
  });
});

describe('CORS', () => {
  const preflight = (url: string, origin: string) =>
    call(`${url}/analytics/event`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });

  it('is off by default', async () => {
    const { url, event } = await open();
    const headers = { origin: 'https://a.example' };
    expect(
      (await preflight(url, 'https://a.example')).headers['access-control-allow-origin'],
    ).toBeUndefined();
    const answer = await event(at('2024-03-01T10:00:00Z'), headers);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('lets the pages of the named origins in, also to read why they are refused', async () => {
    const { url, event } = await open({ DAYBOOK_CORS_ORIGINS: 'https://a.example, https://b.example' });
    for (const origin of ['https://a.example', 'https://b.example']) {
      const allowed = await preflight(url, origin);
      expect(allowed.status).toBe(204);
      expect(allowed.headers['access-control-allow-origin']).toBe(origin);
      expect(allowed.headers['access-control-allow-headers']).toContain('content-type');
      const good = await event(at('2024-03-01T10:00:00Z'), { origin });
      expect([good.status, good.headers['access-control-allow-origin']]).toEqual([200, origin]);
      const bad = await event({}, { origin });
      expect([bad.status, bad.headers['access-control-allow-origin']]).toEqual([400, origin]);
    }
    const other = await preflight(url, 'https://c.example');
    expect(other.headers['access-control-allow-origin']).not.toBe('https://c.example');
    expect(other.headers['access-control-allow-origin']).not.toBe('*');
  });
});

describe('CORS on a report', () => {
  const EXPOSED = 'ETag, Retry-After, Daybook-As-Of, Daybook-Bytes-Billed';

  it('regression: lets a page read ETag, Retry-After and Daybook-As-Of, and tells caches of origin and key', async () => {
    const origin = 'https://a.example';
    const { get, event } = await open({ DAYBOOK_CORS_ORIGINS: origin });
    const report = await get('/analytics/daily', { origin });
    expect(report.headers['access-control-expose-headers']).toBe(EXPOSED);
    const vary = String(report.headers.vary).toLowerCase().split(/, */);
    expect(vary.toSorted()).toEqual(['authorization', 'origin']);
    const same = await get('/analytics/daily', { origin, 'if-none-match': report.headers.etag! });
    expect([same.status, same.headers.vary]).toEqual([304, report.headers.vary]);
    const refused = await event({}, { origin });
    expect(refused.headers['access-control-expose-headers']).toBe(EXPOSED);
  });

  it('that is off leaves the key alone in Vary', async () => {
    const { get } = await open();
    const { headers } = await get('/analytics/daily', { origin: 'https://a.example' });
    expect(headers.vary).toBe('authorization');
  });
});

describe('a full journal', () => {
  it('is answered with 503 and Retry-After, reports go on', async () => {
    const server = await open({ DAYBOOK_JOURNAL_BYTES_MAX: '1048576', DAYBOOK_LOADER_INTERVAL_MS: '60000' });
    await server.event(at('2024-03-01T10:00:00Z'));
    await server.daily(1);
    const properties = { text: 'x'.repeat(30_000) };
    const batch = Array.from({ length: 20 }, (_, n) => ({
      ...at('2024-03-01T10:00:00Z', `u-${n}`),
      properties,
    }));
    let accepted = 0;
    let answer = await server.events(batch);
    for (let n = 0; answer.status === 200 && n < 10; n += 1) {
      accepted += 20;
      answer = await server.events(batch);
    }
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('1');
    expect(json(answer)).toMatchObject({ code: 'storage-unavailable', status: 503 });
    expect(answer.text).not.toMatch(/bytes|MDB|\.ts/);
    expect(accepted).toBeGreaterThan(0);
    const metrics = (await server.get('/metrics')).text;
    expect(metrics).toContain(`daybook_journal_events ${accepted}\n`);
    expect(metrics).toContain('daybook_events_rejected_total{reason="storage-unavailable"} 1\n');
    expect((await server.get('/analytics/daily')).status).toBe(200);
    expect((await server.get('/health/ready')).status).toBe(200);
  });

  it('regression: refuses a batch before it is sent, and a compressed one before it is decompressed', async () => {
    const server = await open({ DAYBOOK_JOURNAL_BYTES_MAX: '1048576', DAYBOOK_LOADER_INTERVAL_MS: '60000' });
    await server.event(at('2024-03-01T10:00:00Z'));
    await server.daily(1);
    const properties = { text: 'x'.repeat(30_000) };
    const body = JSON.stringify([{ ...at('2024-03-01T10:00:00Z'), properties }]);
    for (let n = 0; n < 40 && (await server.events(body)).status === 200; n += 1);
    const heard = await new Promise<readonly string[]>((resolve, reject) => {
      const sent: string[] = [];
      const going = request(`${server.url}/analytics/events`, {
        agent: false,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': '1000000', expect: '100-continue' },
      });
      going.on('continue', () => sent.push('100')).on('error', reject);
      going.on('response', (response) => {
        response
          .resume()
          .on('end', () => resolve([...sent, String(response.statusCode), response.headers.connection!]));
      });
      going.flushHeaders();
    });
    expect(heard).toEqual(['503', 'close']);
    // Not even looked at: what is no gzip at all is not said to be none.
    const junk = await server.events(Buffer.alloc(60_000, 'junk'), { 'content-encoding': 'gzip' });
    expect(json(junk)).toMatchObject({ code: 'storage-unavailable', status: 503 });
  });
});

describe('GET /metrics', () => {
  it('names what is promised and counts what was done', async () => {
    const server = await open();
    await server.event(at('2024-03-01T10:00:00Z', 'a'));
    await server.events([at('2024-03-01T10:00:00Z', 'b'), {}]);
    await server.event({});
    await server.daily(2);
    const { headers, text } = await server.get('/metrics');
    expect(headers['content-type']).toContain('text/plain');
    for (const line of [
      'daybook_events_accepted_total 2',
      'daybook_events_inserted_total 2',
      'daybook_events_rejected_total{reason="invalid-event"} 2',
      'daybook_dead_letters_total{reason="rejected"} 0',
      'daybook_dead_letters_total{reason="corrupt"} 0',
      'daybook_journal_events 0',
      'daybook_loader_lag_seconds 0',
      'daybook_warehouse_up 1',
      'daybook_batch_events_count 1',
      'daybook_batch_events_sum 2',
      'daybook_request_duration_seconds_count{method="POST",route="/analytics/event",status="200"} 1',
      'daybook_request_duration_seconds_count{method="POST",route="/analytics/event",status="400"} 1',
      'daybook_request_duration_seconds_count{method="POST",route="/analytics/events",status="207"} 1',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    for (const name of [
      'daybook_journal_bytes',
      'daybook_freshness_seconds',
      'daybook_journal_waiting_requests',
    ])
      expect(text).toMatch(new RegExp(`^${name} [0-9.e+-]+$`, 'm'));
    for (const name of ['insert_duration_seconds', 'insert_events', 'query_duration_seconds'])
      expect(text).toMatch(new RegExp(`^daybook_${name}_count [1-9]`, 'm'));
  });
});

describe('GET /', () => {
  it('regression: leads to the documentation', async () => {
    const server = await open();
    const answer = await server.get('/');
    expect([answer.status, answer.headers.location, answer.text]).toEqual([302, '/docs', '']);
    expect((await server.get(answer.headers.location!)).headers['content-type']).toContain('text/html');
  });
});

describe('routes that are not there', () => {
  it.each(['/analytics', '/analytics/nothing', '/admin', '/analytics/event/extra'])(
    'answers 404 to %s',
    async (path) => {
      const server = await open();
      for (const method of ['GET', 'POST']) {
        const answer = await call(server.url + path, { method });
        expect(answer.status, method).toBe(404);
        expect(answer.headers['content-type']).toContain('application/problem+json');
        expect(json(answer)).toMatchObject({
          type: '/docs/errors#not-found',
          code: 'not-found',
          status: 404,
          instance: path,
        });
        expect(json(answer)['request_id']).toMatch(/./);
      }
    },
  );

  it.each([
    ['POST', '/', 'GET, HEAD'],
    ['GET', '/analytics/event', 'POST'],
    ['PUT', '/analytics/event', 'POST'],
    ['DELETE', '/analytics/events', 'POST'],
    ['POST', '/analytics/daily', 'GET, HEAD'],
    ['PATCH', '/metrics', 'GET, HEAD'],
  ])('answers 405 to %s %s', async (method, path, allow) => {
    const server = await open();
    const answer = await call(server.url + path, { method });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    expect(json(answer)).toMatchObject({ code: 'method-not-allowed', status: 405 });
  });
});
