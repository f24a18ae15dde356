import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { promisify } from 'node:util';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { killServers, startServer } from '../e2e/server-process.ts';
import { agent, type Random, seededRandom } from '../faults/load.ts';
import { EventTexts, type SentText } from './events.ts';

/*
 * What is stored is what was sent: random events with every kind of escape, over every route, exported and compared with what
 * Python's parser says of the texts. FUZZ_EVENTS says how many, FAULT_SEED repeats a run.
 */

const EVENTS = Number(process.env['FUZZ_EVENTS'] ?? 20_000);
/** All that are rejected are listed in the answer. */
const BATCH_MAX = 100;
const SENDERS = 6;

const DAYBOOK = resolve(import.meta.dirname, '../../dist/cli/daybook.js');
const COMPARE = resolve(import.meta.dirname, 'compare.py');
const run = promisify(execFile);

const ENCODINGS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  identity: (body) => body,
  gzip: (body) => gzipSync(body, { level: 1 }),
  br: (body) => brotliCompressSync(body, { params: { 1: 1 } }),
  zstd: (body) => zstdCompressSync(body),
};

afterEach(killServers);

interface Answer {
  readonly status: number;
  readonly body: {
    readonly accepted?: number;
    readonly code?: string;
    readonly rejected?: readonly { readonly index: number }[];
  };
}

function post(url: string, body: Buffer, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((done, fail) => {
    const sent = request(url, {
      agent,
      method: 'POST',
      headers: { ...headers, 'content-length': body.length },
    });
    sent.on('error', fail).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', fail).on('end', () => {
        done({ status: response.statusCode!, body: JSON.parse(text) as Answer['body'] });
      });
    });
    sent.end(body);
  });
}

type Route = 'single' | 'array' | 'ndjson';

/** Sends the events; returns which were refused, by their place. */
async function send(
  url: string,
  route: Route,
  texts: readonly SentText[],
  random: Random,
): Promise<ReadonlySet<number>> {
  const [encoding, encode] = Object.entries(ENCODINGS)[random.int(0, 9)] ?? [
    'identity',
    (body: Buffer) => body,
  ];
  const body = texts.map(({ text }) => text);
  const joined = route === 'array' ? `[${body.join(',')}]` : body.join('\n');
  const answer = await post(
    `${url}/analytics/${route === 'single' ? 'event' : 'events'}`,
    encode(Buffer.from(joined)),
    {
      'content-type': route === 'ndjson' ? 'application/x-ndjson' : 'application/json',
      'content-encoding': encoding,
    },
  );
  const { status, body: said } = answer;
  if (status === 200) return new Set();
  if (status === 207 || said.code === 'invalid-batch')
    return new Set(said.rejected!.map(({ index }) => index));
  if (status === 400 && said.code === 'invalid-event') return new Set([0]);
  throw new Error(`${route}: ${status} ${JSON.stringify(said)}`);
}

it(`stores ${EVENTS.toLocaleString('en')} events as another parser reads them`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-fuzz-'));
  const random = seededRandom('stored as sent');
  try {
    const env = { DAYBOOK_JOURNAL_BYTES_MAX: String(8 * 1_024 ** 3) };
    const data = join(directory, 'data');
    const server = await startServer({ directory: data, env });
    const sentFile = join(directory, 'sent.ndjson');
    const log = createWriteStream(sentFile);
    const texts = new EventTexts(random);
    let left = EVENTS;
    const sender = async () => {
      while (left > 0) {
        const route = (['single', 'array', 'ndjson'] as const)[random.int(0, 2)]!;
        const count = Math.min(left, route === 'single' ? 1 : random.int(1, BATCH_MAX));
        left -= count;
        const events = Array.from({ length: count }, () => texts.next(route === 'ndjson'));
        const refused = await send(server.url, route, events, random);
        const lines = events.map(({ id, text }, index) =>
          JSON.stringify({ id, accepted: !refused.has(index), text }),
        );
        if (!log.write(`${lines.join('\n')}\n`)) await new Promise((drained) => log.once('drain', drained));
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, sender));
    await finished(log.end());

    const exported = join(directory, 'exported.ndjson');
    await run(process.execPath, [DAYBOOK, 'export', '--format', 'ndjson', '--output', exported], {
      env: { PATH: process.env['PATH'], DAYBOOK_DATA_DIR: data },
    });
    const { stdout } = await run('python3', [COMPARE, sentFile, exported]);
    const result = JSON.parse(stdout) as {
      sent: number;
      accepted: number;
      differences: number;
      first: object[];
    };
    console.log(`sent ${result.sent}, stored ${result.accepted}, differences ${result.differences}`);
    expect(result.first).toEqual([]);
    expect(result).toMatchObject({ sent: EVENTS, differences: 0 });
    // Some were made to be refused.
    expect(result.accepted / EVENTS).toBeGreaterThan(0.9);
    expect(result.accepted).toBeLessThan(EVENTS);
    await server.kill('SIGTERM');
  } finally {
    killServers();
    rmSync(directory, { recursive: true, force: true });
  }
});
