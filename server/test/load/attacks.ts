import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';

const MIB = 1_024 * 1_024;

/** What an attack knows of its target. */
export interface Target {
  readonly url: URL;
  readonly key: string;
  readonly untilMs: number;
  /** Counts what was answered: a status, or why there was no answer. */
  readonly count: (outcome: string) => void;
}

type Attack = (target: Target) => Promise<void>;

const head = (path: string, length: number, headers: readonly string[] = []) =>
  [
    `POST ${path} HTTP/1.1`,
    'host: x',
    'content-type: application/json',
    `content-length: ${length}`,
    ...headers,
    '',
    '',
  ].join('\r\n');

interface Sending {
  readonly head: string;
  readonly body: Buffer;
  /** Called while the connection is open and all is written, once a second. */
  readonly trickle?: Buffer;
}

/** Sends on a connection of its own until an answer came, the server closed it, or the time is up. */
function sendRaw({ url, untilMs, count }: Target, { head: start, body, trickle }: Sending): Promise<void> {
  return new Promise((done) => {
    const socket = connect(Number(url.port), url.hostname);
    let answer = '';
    const end = setTimeout(() => socket.destroy(), Math.max(0, untilMs - performance.now()));
    const slow = trickle === undefined ? undefined : setInterval(() => socket.write(trickle), 1_000);
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
    socket.on('end', () => socket.destroy()).on('error', () => undefined);
    socket.on('connect', () => {
      socket.write(start);
      socket.write(body);
    });
    socket.on('close', () => {
      clearTimeout(end);
      clearInterval(slow);
      count(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 'none');
      done();
    });
  });
}

/** One request by Node's client. Resolves with the status, or 0. */
function send(
  target: Target,
  path: string,
  options: { body?: Buffer; headers?: Record<string, string>; abortMs?: number },
) {
  const { body, headers = {}, abortMs } = options;
  return new Promise<number>((done) => {
    const finish = (status: number) => {
      target.count(status === 0 ? 'none' : String(status));
      done(status);
    };
    const going = request(new URL(path, target.url), {
      agent: false,
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${target.key}`, 'content-type': 'application/json', ...headers },
      timeout: 20_000,
    });
    let heard = false;
    going.on('response', (response) => {
      heard = true;
      response
        .on('error', () => undefined)
        .resume()
        .on('close', () => finish(response.statusCode ?? 0));
    });
    going.on('timeout', () => going.destroy()).on('error', () => undefined);
    going.on('close', () => {
      if (!heard) finish(0);
    });
    if (abortMs !== undefined) setTimeout(() => going.destroy(), abortMs);
    going.end(body);
  });
}

interface Loops {
  readonly count: number;
  /** From an answer to the next request of the same loop. @default 5 */
  readonly pauseMs?: number;
}

/** Many loops of the same until the time is up; they begin within the first second. */
async function loops(
  target: Target,
  { count, pauseMs = 5 }: Loops,
  once: (n: number) => Promise<unknown>,
): Promise<void> {
  const loop = async (n: number) => {
    await sleep((n * 1_000) / count);
    while (performance.now() < target.untilMs) {
      await once(n);
      await sleep(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: count }, (_, n) => loop(n)));
}

/** Connections as many as one machine's ports easily bear, each of which tries again after a second. */
const MANY: Loops = { count: 2_000, pauseMs: 1_000 };
const FEW: Loops = { count: 16 };

const event = (n: number) => ({
  type: 'event',
  event_name: 'attack',
  user_id: `attack-${n % 5_000}`,
  session_id: `s-${n % 5_000}`,
  event_time: Math.floor(Date.now() / 1_000) - (n % 86_400),
});

/** A valid batch of events with properties, of nearly so many bytes. */
function batch(events: number, bytes: number): Buffer {
  const pad = Math.max(0, Math.floor(bytes / events) - 180);
  const properties = { pad: 'x'.repeat(pad) };
  const all = Array.from({ length: events }, (_, n) => ({ ...event(n), properties }));
  return Buffer.from(JSON.stringify(all));
}

/** The attacks, by name. Each is bounded by `untilMs`. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  /** Bodies of one MiB that never end, to a path that is not there. */
  unrouted: (target) => {
    const body = Buffer.alloc(MIB - 1, ' ');
    return loops(target, MANY, () => sendRaw(target, { head: head('/nope', MIB), body }));
  },
  /** The same to a route that takes no POST. */
  'wrong-method': (target) => {
    const body = Buffer.alloc(MIB - 1, ' ');
    return loops(target, MANY, () => sendRaw(target, { head: head('/analytics/daily', MIB), body }));
  },
  /** Batches with a key that arrive slowly: 100 KB at once, then a byte a second. */
  slow: (target) => {
    const start = head('/analytics/events', 9 * MIB, [`authorization: Bearer ${target.key}`]);
    const sending = { head: start, body: Buffer.alloc(100_000, ' '), trickle: Buffer.from(' ') };
    return loops(target, MANY, () => sendRaw(target, sending));
  },
  /** A few hundred bytes that become ten MiB of opening brackets. */
  bombs: (target) => {
    const body = zstdCompressSync(Buffer.alloc(10 * MIB, '['));
    return loops(target, FEW, () =>
      send(target, '/analytics/events', { body, headers: { 'content-encoding': 'zstd' } }),
    );
  },
  /** Deep JSON below every limit on the ratio, so that only the encoder can refuse it. */
  deep: (target) => {
    const body = Buffer.alloc(10 * MIB - 1, '[');
    return loops(target, FEW, () => send(target, '/analytics/events', { body }));
  },
  /** Reports in foreign timezones: 100 that are given up after 0.3 s, and 100 that are waited for. */
  reports: async (target) => {
    const zones = Intl.supportedValuesOf('timeZone');
    const path = (n: number) => `/analytics/daily?timezone=${encodeURIComponent(zones[n % zones.length]!)}`;
    await Promise.all([
      ...Array.from({ length: 100 }, (_, n) => send(target, path(n), { abortMs: 300 })),
      ...Array.from({ length: 100 }, (_, n) => send(target, path(n + 100), {})),
    ]);
    await loops(target, { count: 66 }, (n) => send(target, path(n + 200), { abortMs: 300 }));
  },
  /** Batches as large as they may be. */
  large: (target) => {
    const body = batch(9_000, 10 * MIB - 50_000);
    return loops(target, FEW, () => send(target, '/analytics/events', { body }));
  },
  /** Uploads without a key, each tried again at once. */
  keyless: (target) => {
    const body = Buffer.alloc(5 * MIB, ' ');
    return loops(target, { count: 100, pauseMs: 100 }, () =>
      sendRaw(target, { head: head('/analytics/events', body.length), body }),
    );
  },
  /** More batches than the journal can hold. */
  full: (target) => {
    const body = batch(5_000, 2 * MIB);
    return loops(target, FEW, () => send(target, '/analytics/events', { body }));
  },
};
