import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createHistogram } from 'node:perf_hooks';

export interface RoundOptions {
  readonly url: string;
  readonly connections: number;
  readonly durationMs: number;
  /** JSON bodies, posted in turn. */
  readonly bodies: readonly string[];
}

export interface RoundResult {
  readonly answers: number;
  /** Answers other than 200, and connections that broke. */
  readonly failures: number;
  readonly seconds: number;
  readonly p99Ms: number;
}

/**
 * Posts on every connection as fast as answers come. The client shares the machine with what it measures, so it does next
 * to nothing: requests are made ready beforehand, and of an answer only the status and the length are read.
 */
export async function postForAWhile(options: RoundOptions): Promise<RoundResult> {
  const { url, connections, durationMs, bodies } = options;
  const requests = bodies.map((body) => requestBytes(new URL(url), body));
  const times = createHistogram();
  const lanes = Array.from({ length: connections }, (_, index) => new Lane(requests, index, times));
  const { hostname, port } = new URL(url);
  await Promise.all(lanes.map((lane) => lane.open(Number(port), hostname)));
  const startedMs = performance.now();
  const done = lanes.map((lane) => lane.run(startedMs + durationMs));
  await Promise.all(done);
  const seconds = (performance.now() - startedMs) / 1_000;
  return {
    answers: lanes.reduce((sum, lane) => sum + lane.answers, 0),
    failures: lanes.reduce((sum, lane) => sum + lane.failures, 0),
    seconds,
    p99Ms: times.percentile(99) / 1e6,
  };
}

function requestBytes(url: URL, body: string): Buffer {
  return Buffer.from(
    `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

const STATUS_AT = 'HTTP/1.1 '.length;

/** One connection: the next request goes out when the answer to the last is complete. */
class Lane {
  answers = 0;
  failures = 0;
  readonly #requests: readonly Buffer[];
  readonly #times: ReturnType<typeof createHistogram>;
  #next: number;
  #socket: Socket | undefined;
  #sentNs = 0n;
  #untilMs = 0;
  #pending = '';
  #finish: () => void = () => undefined;

  constructor(requests: readonly Buffer[], first: number, times: ReturnType<typeof createHistogram>) {
    this.#requests = requests;
    this.#next = first;
    this.#times = times;
  }

  async open(port: number, host: string): Promise<void> {
    const socket = connect({ port, host, noDelay: true });
    await once(socket, 'connect');
    socket.setEncoding('latin1').on('data', (text: string) => this.#hear(text));
    socket.on('error', () => this.#broke()).on('close', () => this.#broke());
    this.#socket = socket;
  }

  /** Resolves after the last answer that was asked for before the time was up. */
  run(untilMs: number): Promise<void> {
    this.#untilMs = untilMs;
    const finished = new Promise<void>((resolve) => (this.#finish = resolve));
    this.#send();
    return finished;
  }

  #send(): void {
    const request = this.#requests[this.#next % this.#requests.length]!;
    this.#next += 1;
    this.#sentNs = process.hrtime.bigint();
    this.#socket!.write(request);
  }

  #hear(text: string): void {
    this.#pending += text;
    const head = this.#pending.indexOf('\r\n\r\n');
    if (head === -1) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#pending)?.[1] ?? 0);
    if (this.#pending.length < head + 4 + length) return;
    this.#times.record(process.hrtime.bigint() - this.#sentNs);
    this.answers += 1;
    if (!this.#pending.startsWith('200', STATUS_AT)) this.failures += 1;
    this.#pending = '';
    if (performance.now() < this.#untilMs) this.#send();
    else this.#end();
  }

  #broke(): void {
    if (this.#untilMs === 0) return;
    this.failures += 1;
    this.#end();
  }

  #end(): void {
    this.#untilMs = 0;
    this.#socket?.destroy();
    this.#finish();
  }
}
