import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createApp, type App } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { EVENT_EXAMPLE } from '../../src/event/schema.ts';
import { control } from './server-process.ts';
import { FIRST_DAY, storeManyEvents } from '../fixtures/many-events.ts';

/* Reports that read rollups beside many that read rows: enough rows that each of those takes a while. */

const EVENTS = { events: 400_000, days: 400, users: 150_000, sessions: 150_000 };

/** Longer than all that may wait take on a machine that is busy with other things, in milliseconds. */
const TIMEOUT_MS = 180_000;

const DAY_MS = 86_400_000;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly ms: number;
  readonly text: string;
}

describe('reports', () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-reports-'));
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  let app: App;
  let url: string;
  let normalMs: number;
  let heavyMs: number;

  beforeAll(async () => {
    await storeManyEvents(directory, EVENTS);
    app = await createApp(
      readConfig({
        PORT: '0',
        DAYBOOK_DATA_DIR: directory,
        DAYBOOK_LOG_LEVEL: 'silent',
        DAYBOOK_DUCKDB_THREADS: '2',
        DAYBOOK_QUERY_TIMEOUT_MS: String(TIMEOUT_MS),
      }),
    );
    url = await app.listen();
    heavyMs = (await get(foreign(0))).ms;
    normalMs = Math.max(...(await defaults(20)).map(({ ms }) => ms));
  });
  afterAll(async () => {
    agent.destroy();
    await app.close();
    rmSync(directory, { recursive: true, force: true });
  });

  function get(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<Answer> {
    const startedMs = performance.now();
    return new Promise((resolve, reject) => {
      const options = {
        agent: signal === undefined ? agent : false,
        ...(signal === undefined ? {} : { signal }),
      };
      const sent = request(url + path, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject).on('end', () => {
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, text, ms: performance.now() - startedMs });
        });
      });
      sent.on('error', reject).end();
    });
  }

  /** A statement of its own for each number, over nearly all rows. */
  const foreign = (n: number) => `/analytics/daily?timezone=Asia/Kathmandu&from=${dayAfter(n)}&to=2010-01-01`;
  const dayAfter = (n: number) => new Date(Date.parse(FIRST_DAY) + n * DAY_MS).toISOString().slice(0, 10);

  /** Reads from rollups, one after the other, none of them kept. */
  async function defaults(count: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let n = 0; n < count; n += 1) {
      asked += 1;
      const to = new Date(Date.parse(FIRST_DAY) + asked * DAY_MS).toISOString().slice(0, 10);
      answers.push(await get(`/analytics/daily?from=${FIRST_DAY}&to=${to}`));
    }
    return answers;
  }
  let asked = 0;

  /** What reads may take beside heavy ones; without places of their own they wait for these, which takes seconds. */
  const expectNormal = (answers: readonly Answer[]) => {
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const times = answers.map(({ ms }) => ms).toSorted((a, b) => a - b);
    expect(times[Math.floor(times.length / 2)]).toBeLessThan(Math.max(100, 3 * normalMs));
    // Not the slowest: the warehouse's threads give way to whatever else the machine does.
    expect(times[Math.floor(times.length * 0.95)]).toBeLessThan(Math.max(1_500, 5 * normalMs));
  };

  const metric = async (name: string) =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec((await get('/metrics')).text)?.[1]);

  it('regression: 66 requests for a foreign timezone, gone after 0.3 s, leave reports at their speed', async () => {
    expect(heavyMs).toBeGreaterThan(100);
    const gone = AbortSignal.timeout(300);
    const cancelled = await metric('daybook_queries_cancelled_total');
    const aborted = Array.from({ length: 66 }, (_, n) =>
      get(foreign(1 + n), { signal: gone }).then(
        ({ status }) => status,
        () => 'gone',
      ),
    );
    const ends = await Promise.all(aborted);
    // Those beyond the queue were told at once.
    expect(ends.every((end) => end === 'gone' || end === 503 || end === 200)).toBe(true);
    expect(ends.filter((end) => end === 'gone').length).toBeGreaterThan(5);
    expectNormal(await defaults(20));
    // The engine is free again: the next one of the kind takes its own time, not that of those before.
    const { status, ms } = await get(foreign(100));
    expect(status).toBe(200);
    expect(ms).toBeLessThan(4 * heavyMs + 500);
    expect(await metric('daybook_queries_cancelled_total')).toBeGreaterThan(cancelled);
  });

  it(
    'regression: beside 100 requests for a foreign timezone every default report is answered in its time',
    async () => {
      const heavy = Array.from({ length: 100 }, (_, n) => get(foreign(110 + n)));
      const answers: Answer[] = [];
      const all = Promise.all(heavy);
      const state = { done: false };
      void all.then(() => (state.done = true));
      for (let round = 0; !state.done && round < 1_000; round += 1) {
        answers.push(...(await defaults(5)));
        await sleep(20);
      }
      const statuses = (await all).map(({ status }) => status);
      expect(answers.length).toBeGreaterThan(10);
      expectNormal(answers);
      // A bounded number was answered, the others refused at once, with the time to come back.
      expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(10);
      const refused = (await all).filter(({ status }) => status !== 200);
      expect(refused.length).toBeGreaterThan(50);
      for (const { status, headers, text } of refused) {
        expect([status, headers['retry-after']]).toEqual([503, '1']);
        expect(JSON.parse(text)).toMatchObject({ code: 'server-busy' });
      }
    },
    TIMEOUT_MS,
  );
});

describe('a command that asks the warehouse', () => {
  it('regression: stops its statement when it ends before the answer', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-reports-'));
    const app = await createApp(
      readConfig({ PORT: '0', DAYBOOK_DATA_DIR: directory, DAYBOOK_LOG_LEVEL: 'silent' }),
    );
    onTestFinished(async () => {
      await app.close();
      rmSync(directory, { recursive: true, force: true });
    });
    for (let n = 0; n < 3; n += 1) {
      const sql = `SELECT count(*) AS n FROM range(100000000) a, range(${100_000 + n}) b WHERE (a.range * b.range) % 7 = 3`;
      const socketPath = join(directory, 'control.sock');
      const sent = request({ socketPath, path: '/query', method: 'POST' });
      sent.on('error', () => undefined).end(JSON.stringify({ sql, params: {} }));
      await sleep(200);
      sent.destroy();
    }
    const startedMs = performance.now();
    expect(await control(directory, 'query', { sql: 'SELECT 1 AS n', params: {} })).toEqual([{ n: 1 }]);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe('how far a report reaches', () => {
  /** A server that loads a first batch at once, and the next after a pause: by default none for a minute. */
  async function open(intervalMs = '60000') {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-reports-'));
    const env = { DAYBOOK_LOADER_INTERVAL_MS: intervalMs, DAYBOOK_CORS_ORIGINS: 'https://app.example' };
    const app = await createApp(
      readConfig({ PORT: '0', DAYBOOK_DATA_DIR: directory, DAYBOOK_LOG_LEVEL: 'silent', ...env }),
    );
    onTestFinished(async () => {
      await app.close();
      rmSync(directory, { recursive: true, force: true });
    });
    const url = await app.listen();
    const ask = async (headers: Record<string, string> = {}, path = '/analytics/daily') => {
      const response = await fetch(url + path, { headers });
      const { status, headers: answered } = response;
      return {
        status,
        headers: answered,
        asOfMs: Date.parse(answered.get('daybook-as-of') ?? ''),
        text: await response.text(),
      };
    };
    /** Sends an event; the moments before it was sent and after it was acknowledged. */
    const send = async (user: string) => {
      const beforeMs = Date.now();
      const body = JSON.stringify({ ...EVENT_EXAMPLE, user_id: user });
      const headers = { 'content-type': 'application/json' };
      const { status } = await fetch(`${url}/analytics/event`, { method: 'POST', headers, body });
      expect(status).toBe(200);
      return { beforeMs, afterMs: Date.now() };
    };
    const freshness = async () =>
      Number(/^daybook_freshness_seconds (\S+)$/m.exec((await ask({}, '/metrics')).text)?.[1]);
    const sendUsers = async (from: number, count: number) => {
      const users = Array.from({ length: count }, (_, n) => ({ ...EVENT_EXAMPLE, user_id: `u${from + n}` }));
      const headers = { 'content-type': 'application/json' };
      const options = { method: 'POST', headers, body: JSON.stringify(users) };
      expect((await fetch(`${url}/analytics/events`, options)).status).toBe(200);
    };
    return { ask, send, sendUsers, freshness };
  }

  it('is the present where nothing waits, also when the answer was kept', async () => {
    const { ask, freshness } = await open();
    const beforeMs = Date.now();
    const first = await ask();
    await sleep(50);
    const keptMs = Date.now();
    const kept = await ask({ 'if-none-match': first.headers.get('etag')! });
    expect([first.status, kept.status]).toEqual([200, 304]);
    expect(first.asOfMs).toBeGreaterThanOrEqual(beforeMs);
    expect(kept.asOfMs).toBeGreaterThanOrEqual(keptMs);
    expect(kept.asOfMs).toBeLessThanOrEqual(Date.now());
    expect(await freshness()).toBeLessThan(1);
  });

  it('regression: is that of the oldest event that waits, and the metric does not lie', async () => {
    const { ask, send, freshness } = await open();
    await send('first');
    for (let tries = 0; !(await ask()).text.includes('"total_users":1'); tries += 1) {
      expect(tries).toBeLessThan(500);
      await sleep(10);
    }
    const waits = await send('second');
    await send('third');
    await sleep(300);
    for (const path of [
      '/analytics/daily',
      '/analytics/daily?timezone=Asia/Tehran',
      '/analytics/dead-letters',
    ]) {
      const { status, asOfMs } = await ask({}, path);
      expect(status).toBe(200);
      expect(asOfMs, path).toBeGreaterThanOrEqual(waits.beforeMs - 1);
      expect(asOfMs, path).toBeLessThanOrEqual(waits.afterMs);
    }
    expect((await ask()).text).toContain('"total_users":1');
    const seconds = await freshness();
    expect(seconds).toBeGreaterThan(0.29);
    expect(seconds).toBeLessThan((Date.now() - waits.beforeMs) / 1_000 + 0.1);
  });

  it('every event acknowledged before it is counted, at every moment of a burst', async () => {
    const { ask, sendUsers } = await open('20');
    const acknowledged: { atMs: number; users: number }[] = [];
    const state = { users: 0, done: false };
    const burst = async () => {
      for (let batch = 0; batch < 40; batch += 1) {
        await sendUsers(state.users, 2_500);
        state.users += 2_500;
        acknowledged.push({ atMs: Date.now(), users: state.users });
      }
      state.done = true;
    };
    const counted: { askedMs: number; asOfMs: number; users: number }[] = [];
    const watch = async () => {
      for (let tries = 0; tries < 10_000; tries += 1) {
        const askedMs = Date.now();
        const { asOfMs, text } = await ask();
        counted.push({ askedMs, asOfMs, users: (JSON.parse(text) as { total_users: number }).total_users });
        if (state.done && counted.at(-1)!.users === state.users) return;
        await sleep(5);
      }
    };
    await Promise.all([burst(), watch()]);
    expect(counted.at(-1)!.users).toBe(100_000);
    for (const { asOfMs, users } of counted) {
      const promised = acknowledged.findLast(({ atMs }) => atMs < asOfMs)?.users ?? 0;
      expect(users).toBeGreaterThanOrEqual(promised);
    }
    // It does lag, or this shows nothing.
    expect(counted.some(({ askedMs, asOfMs }) => asOfMs < askedMs)).toBe(true);
  });

  it('is the same with fresh=true, and nothing is billed', async () => {
    const { ask } = await open();
    const [asked, fresh] = [await ask(), await ask({}, '/analytics/daily?fresh=true')];
    expect(fresh.status).toBe(200);
    expect(fresh.headers.get('etag')).toBe(asked.headers.get('etag'));
    expect(fresh.headers.has('daybook-bytes-billed')).toBe(false);
    expect((await ask({}, '/analytics/daily?fresh=yes')).status).toBe(400);
  });

  it('can be read by pages of other origins', async () => {
    const { ask } = await open();
    const { headers } = await ask({ origin: 'https://app.example' });
    expect(headers.get('access-control-expose-headers')).toContain('Daybook-As-Of');
  });
});
