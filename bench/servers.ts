import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'node:http';

const PRODUCT = fileURLToPath(new URL('../server/dist/main.js', import.meta.url));
const UNSTORED = fileURLToPath(new URL('unstored.ts', import.meta.url));
const TOPIC_EACH = fileURLToPath(new URL('topic-each.ts', import.meta.url));
const FLOOR = fileURLToPath(new URL('floor.ts', import.meta.url));
/** How long a server may take to answer, in milliseconds. */
const START_TIMEOUT_MS = 30_000;

/** A server in a process of its own. */
export interface Server {
  readonly url: string;
  /** From the process's start to its first answer. */
  readonly startMs: number;
  /** Highest resident memory so far, in bytes: its own, and pages of files that it has mapped. */
  peakBytes(): number;
  /** Watches its own memory, without mapped files, from now on; the result tells the highest so far, in bytes. */
  watchOwnBytes(): () => number;
  /** Processor time of all its threads so far, in milliseconds. */
  processorMs(): number;
  stop(): Promise<void>;
}

/** The built product on a data directory. */
export function startProduct(
  directory: string,
  env: Record<string, string> = {},
  probe = '/analytics/daily',
): Promise<Server> {
  return start(PRODUCT, { DAYBOOK_DATA_DIR: directory, DAYBOOK_LOG_LEVEL: 'error', ...env }, probe);
}

/** The product as another clone has built it. */
export function startBuild(clone: string, directory: string, env: Record<string, string>): Promise<Server> {
  const main = resolvePath(clone, 'server/dist/main.js');
  return start(main, { DAYBOOK_DATA_DIR: directory, DAYBOOK_LOG_LEVEL: 'error', ...env }, '/analytics/daily');
}

/** A server that makes a topic object for each request. */
export function startTopicEach(env: Record<string, string>): Promise<Server> {
  return start(TOPIC_EACH, env, '/ready');
}

/** What a bare Fastify does with the same requests. */
export function startFloor(): Promise<Server> {
  return start(FLOOR, {}, '/ready');
}

/** The product's way in, storing nothing. */
export function startUnstored(): Promise<Server> {
  return start(UNSTORED, {}, '/ready');
}

async function start(file: string, env: Record<string, string>, probe: string): Promise<Server> {
  const port = await freePort();
  const startedMs = performance.now();
  const child = spawn(process.execPath, [file], {
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: String(port), ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await answers(child, url + probe);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    url,
    startMs: performance.now() - startedMs,
    peakBytes: () => statusBytes(child.pid!, 'VmHWM'),
    watchOwnBytes: () => watchOwnBytes(child),
    processorMs: () => processorMs(child.pid!),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
      await exit;
      clearTimeout(late);
    },
  };
}

async function answers(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const response = await fetch(url).catch(() => undefined);
    await response?.text();
    if (response?.ok === true) return;
    await sleep(10);
  }
  throw new Error(`no answer from ${url}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function statusBytes(pid: number, name: string): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${name}:`));
  return parseInt(line?.slice(name.length + 1) ?? '0', 10) * 1_024;
}

/** The kernel counts in hundredths of a second. */
function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
}

/** The kernel keeps no peak of it, so it is looked at twenty times a second. */
function watchOwnBytes(child: ChildProcess): () => number {
  let highest = 0;
  const timer = setInterval(() => {
    if (child.exitCode === null) highest = Math.max(highest, statusBytes(child.pid!, 'RssAnon'));
  }, 50).unref();
  child.once('exit', () => clearInterval(timer));
  return () => highest;
}

const agent = new Agent({ keepAlive: true });

/** One request on a kept connection: its body, and how long it took. */
export function timed(url: string, body?: string): Promise<{ text: string; ms: number }> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(url, { agent, method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject).on('end', () => {
        if (response.statusCode === 200) resolve({ text, ms: performance.now() - startedMs });
        else reject(new Error(`${url}: ${response.statusCode} ${text.slice(0, 300)}`));
      });
    });
    sent.on('error', reject).end(body);
  });
}
