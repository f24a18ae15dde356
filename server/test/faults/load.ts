import { Agent, request, type IncomingHttpHeaders } from 'node:http';

/** A repeatable source of randomness (mulberry32); tests print the seed. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed;
  }

  /** From 0 to 1, 1 excluded. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }
}

/** FAULT_SEED repeats a run; else every run is another. */
export function seededRandom(name: string): Random {
  const random = new Random(Number(process.env['FAULT_SEED'] ?? Date.now() % 2 ** 31));
  console.log(`${name}: FAULT_SEED=${random.seed}`);
  return random;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** One POST of JSON, or a GET where there is no body. Rejects when no whole answer came. */
export function send(url: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers: Record<string, string | number> =
      text === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const method = text === undefined ? 'GET' : 'POST';
    const sent = request(url, { agent, method, headers }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
      response.on('error', reject).on('end', () => {
        if (!response.complete) reject(new Error('the answer was cut off'));
        else resolve({ status: response.statusCode!, headers: response.headers, text: answer });
      });
    });
    sent.on('error', reject).end(text);
  });
}

export interface SentEvent {
  readonly type: 'event';
  readonly event_name: string;
  readonly user_id: string;
  readonly session_id: string;
  readonly event_time: number;
  readonly event_id?: string;
}

/** 2024-01-01; the events lie in the 30 days after it. */
const FIRST_S = 1_704_067_200;

/** The n-th event: a user of its own by which it is found again, with or without an event_id. */
export function makeEvent(user: string, n: number, withId = false): SentEvent {
  return {
    type: 'event',
    event_name: 'load',
    user_id: user,
    session_id: `s-${Math.floor(n / 7)}`,
    event_time: FIRST_S + (n % 2_592_000),
    ...(withId ? { event_id: `id-${user}` } : {}),
  };
}

/** What became of an event: how often it was sent, how often it was acknowledged. */
interface Fate {
  readonly withId: boolean;
  sends: number;
  acks: number;
}

interface Batch {
  readonly events: readonly SentEvent[];
}

/** What a sender heard, beside the acknowledgements. */
export interface Heard {
  readonly statuses: Map<number, number>;
  readonly errors: Map<string, number>;
}

/** Sends events from many senders at once and remembers what was acknowledged. */
export class Load {
  readonly fates = new Map<string, Fate>();
  readonly heard: Heard = { statuses: new Map(), errors: new Map() };
  readonly #random: Random;
  readonly #prefix: string;
  readonly #again: Batch[] = [];
  #count = 0;

  constructor(random: Random, prefix = 'u') {
    this.#random = random;
    this.#prefix = prefix;
  }

  get acknowledged(): number {
    return [...this.fates.values()].filter(({ acks }) => acks > 0).length;
  }

  /** Sends until the server is gone or `until` fires. */
  async run(url: string, senders: number, until: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: senders }, () => this.#sender(url, until)));
  }

  async #sender(url: string, until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      const batch = this.#again.length > 0 && this.#random.next() < 0.3 ? this.#again.pop()! : this.#fresh();
      if (!(await this.#send(url, batch))) return;
    }
  }

  #fresh(): Batch {
    const single = this.#random.next() < 0.5;
    const size = single ? 1 : this.#random.int(1, 200);
    const events: SentEvent[] = [];
    for (let i = 0; i < size; i += 1) {
      this.#count += 1;
      const withId = this.#random.next() < 0.5;
      const user = `${this.#prefix}-${this.#random.seed}-${this.#count}`;
      this.fates.set(user, { withId, sends: 0, acks: 0 });
      events.push(makeEvent(user, this.#count, withId));
    }
    return { events };
  }

  /** False when the server is gone. What got no answer is sent again later, now and then. */
  async #send(url: string, batch: Batch): Promise<boolean> {
    const { events } = batch;
    for (const { user_id: user } of events) this.fates.get(user)!.sends += 1;
    const single = events.length === 1 && this.#random.next() < 0.8;
    const path = single ? '/analytics/event' : '/analytics/events';
    try {
      const { status, text } = await send(url + path, single ? events[0] : events);
      count(this.heard.statuses, status);
      if (status !== 200) return true;
      const { accepted } = JSON.parse(text) as { accepted: number };
      if (accepted !== events.length) throw new Error(`accepted ${accepted} of ${events.length}`);
      for (const { user_id: user } of events) this.fates.get(user)!.acks += 1;
      return true;
    } catch (error) {
      count(this.heard.errors, (error as NodeJS.ErrnoException).code ?? String(error));
      if (this.#random.next() < 0.5) this.#again.push(batch);
      return false;
    }
  }

  /** Every way in which what is stored contradicts what was acknowledged; `stored` is user → events. */
  contradictions(stored: ReadonlyMap<string, number>): string[] {
    const wrong: string[] = [];
    for (const [user, { withId, sends, acks }] of this.fates) {
      const events = stored.get(user) ?? 0;
      const least = withId ? Math.min(1, acks) : acks;
      const most = withId ? Math.min(1, sends) : sends;
      if (events < least) wrong.push(`${user}: lost (acknowledged ${acks}, stored ${events})`);
      if (events > most) wrong.push(`${user}: repeated (sent ${sends}, stored ${events}, id ${withId})`);
    }
    for (const user of stored.keys()) if (!this.fates.has(user)) wrong.push(`${user}: never sent`);
    return wrong;
  }
}

function count<K>(map: Map<K, number>, key: K): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
