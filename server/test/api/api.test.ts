import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiDocument } from '../../src/http/openapi.ts';
import { PROBLEMS } from '../../src/http/problems.ts';
import { killServers, startServer, type ServerProcess } from '../e2e/server-process.ts';
import { type Answer, KEY, operationsOf, requests, type Schema, type Sent } from './requests.ts';

/*
 * Requests made from the API document of a running server, valid ones and others: no answer is a 5xx, none is missing, and
 * each is one that the document describes. API_REQUESTS is how many, API_SEED repeats a run.
 */

const REQUESTS = Number(process.env['API_REQUESTS'] ?? 20_000);
const SEED = Number(process.env['API_SEED'] ?? Date.now() % 2 ** 31);
/** Sent at the same time. */
const AT_ONCE = 20;
/** An answer that takes longer is missing. */
const ANSWER_MS = 20_000;

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
let server: ServerProcess & { readonly url: string };
let document: ApiDocument;
const directory = mkdtempSync(join(tmpdir(), 'daybook-'));
const statuses = new Map<string, number>();

beforeAll(async () => {
  server = await startServer({
    directory,
    env: {
      DAYBOOK_WRITE_KEYS: KEY,
      DAYBOOK_READ_KEYS: KEY,
      DAYBOOK_CORS_ORIGINS: 'https://app.example',
      DAYBOOK_JOURNAL_BYTES_MAX: String(4 * 2 ** 30),
    },
  });
  document = (await (await fetch(`${server.url}/openapi.json`)).json()) as ApiDocument;
});

afterAll(() => {
  agent.destroy();
  killServers();
  rmSync(directory, { recursive: true, force: true });
});

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function send({ method, target, headers: given, body }: Sent): Promise<Got> {
  // Node's client sends no length by itself with some methods.
  const headers = body === undefined ? given : { ...given, 'content-length': String(body.length) };
  return new Promise((resolve, reject) => {
    const sent = request(server.url + target, { agent, method, headers, timeout: ANSWER_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    // The server may close the connection behind its answer while the body is still on its way.
    sent.on('error', (error) => setTimeout(reject, 1_000, error));
    sent.end(body);
  });
}

const ajv = new Ajv2020({ strict: false, validateFormats: false });
const validators = new Map<Schema, ValidateFunction>();

function faultOf(schema: Schema, value: unknown): string | undefined {
  const known = validators.get(schema);
  const validate = known ?? ajv.compile({ ...schema, components: document.components });
  if (known === undefined) validators.set(schema, validate);
  return validate(value) ? undefined : JSON.stringify(validate.errors);
}

/** What the document says of an answer: of its operation, of a preflight, or of a method that is not there. */
function described(sent: Sent, { status, headers }: Got): Answer | undefined {
  const { operation, method } = sent;
  const { responses } = operation.spec;
  const sibling = operationsOf(document).find((one) => one.path === operation.path && one.method === method);
  if (method === operation.method || (method === 'HEAD' && operation.method === 'GET'))
    return responses[status] ?? (OF_ANY.has(status) ? responses['default'] : undefined);
  if (sibling !== undefined) return sibling.spec.responses[status] ?? sibling.spec.responses['default'];
  if (method === 'OPTIONS' && status === 204) return { description: 'a preflight' };
  expect(headers.allow).toContain(operation.method);
  return status === 405 ? responses['default'] : undefined;
}

/** Statuses of the request as such, which every operation may answer. */
const OF_ANY: ReadonlySet<number> = new Set(
  (
    ['bad-request', 'uri-too-long', 'expectation-failed', 'headers-too-large', 'request-timeout'] as const
  ).map((code) => PROBLEMS[code].status),
);

function check(sent: Sent, got: Got): void {
  const { status, headers, text } = got;
  const sentBody = sent.body?.toString('latin1').slice(0, 200);
  const what = `${sent.method} ${sent.target} ${JSON.stringify(sent.headers)} ${sentBody} → ${status} ${text.slice(0, 300)}`;
  expect(status, what).toBeLessThan(500);
  expect(headers['x-content-type-options'], what).toBe('nosniff');
  expect(headers['content-security-policy'], what).toContain("frame-ancestors 'none'");
  const answer = described(sent, got);
  expect(answer, `not documented: ${what}`).toBeDefined();
  if (sent.method === 'HEAD' || answer!.content === undefined) {
    expect(text, what).toBe('');
    return;
  }
  const type = headers['content-type']?.split(';', 1)[0] ?? '';
  const content = answer!.content[type];
  expect(content, `${type} is not documented: ${what}`).toBeDefined();
  if (type.endsWith('json')) expect(faultOf(content!.schema, JSON.parse(text)), what).toBeUndefined();
  if (type === 'application/problem+json') {
    const { code } = JSON.parse(text) as { code: string };
    expect(answer!.description, `${code} is not documented: ${what}`).toContain(`\`${code}\``);
  }
  if (status === 200 && sent.value !== undefined && sent.method === sent.operation.method) {
    const schema = sent.operation.spec.requestBody?.content['application/json']?.schema;
    if (schema !== undefined)
      expect(faultOf(schema, sent.value), `accepted against the document: ${what}`).toBeUndefined();
  }
}

describe('the API', () => {
  it(`answers ${REQUESTS} requests made from its document as it says, seed ${SEED}`, async () => {
    const arbitrary = requests(document);
    let count = 0;
    for (let round = 0; count < REQUESTS; round += 1) {
      const batch = fc.sample(arbitrary, { numRuns: AT_ONCE, seed: SEED + round });
      const answers = await Promise.all(batch.map(send));
      for (const [index, got] of answers.entries()) {
        const sent = batch[index]!;
        count += 1;
        const name = `${sent.operation.method} ${sent.operation.path} ${got.status}`;
        statuses.set(name, (statuses.get(name) ?? 0) + 1);
        check(sent, got);
      }
    }
    console.log(
      `${count} requests:`,
      Object.fromEntries([...statuses].toSorted(([a], [b]) => a.localeCompare(b))),
    );
    expect(count).toBeGreaterThanOrEqual(REQUESTS);
    // It did reach what is behind the checks.
    for (const { method, path } of operationsOf(document)) {
      const good = [...statuses].some(([name]) => name.startsWith(`${method} ${path} 2`));
      expect(good, `${method} ${path} was never answered with success`).toBe(true);
    }
    expect(server.log().match(/"level":[56]0/g)).toBeNull();
    expect(await (await fetch(`${server.url}/health/ready`)).json()).toMatchObject({ status: 'ready' });
  });
});
