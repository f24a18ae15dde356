import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { EngineStats } from '../delivery/engine.ts';
import type { PublisherStats } from '../transport/contract.ts';

/** Where the gauges look when metrics are scraped. */
export interface MetricsSources {
  /** The transport's name, which its gauges carry: `journal` or `pubsub`. */
  readonly transport: string;
  readonly publisher: () => PublisherStats;
  readonly engine: () => Promise<EngineStats>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** What a transport's events are, for the gauges' help. */
const TRANSPORT_HOLDS: Readonly<Record<string, string>> = {
  journal: 'Events acknowledged and not yet where they go on to.',
  pubsub: 'Events on their way to Pub/Sub, not acknowledged yet.',
};

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Every metric of Daybook, in Prometheus' text format. Counters count since the start of the process. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: MetricsSources;
  readonly #accepted = this.#counter(
    'daybook_events_accepted_total',
    'Events answered with success: they are durable.',
  );
  readonly #rejected = this.#counter(
    'daybook_events_rejected_total',
    'Events and bodies refused, by the code of the answer.',
    ['reason'],
  );
  readonly #deadLetters = this.#counter('daybook_dead_letters_total', 'Events that became dead letters.', [
    'reason',
  ]);
  readonly #inserted = this.#counter(
    'daybook_events_inserted_total',
    'Events that are new in the warehouse.',
  );
  readonly #duplicates = this.#counter(
    'daybook_events_duplicate_total',
    'Events whose event_id was stored already.',
  );
  readonly #failures = this.#counter(
    'daybook_loader_failures_total',
    'Inserts that failed and are tried again.',
  );
  readonly #forwarded = this.#counter(
    'daybook_events_forwarded_total',
    'Events that went from the journal to Pub/Sub.',
  );
  readonly #transportEvents: Gauge;
  readonly #transportBytes: Gauge;
  readonly #waiting: Gauge;
  readonly #lag = this.#gauge(
    'daybook_loader_lag_seconds',
    'Age of the oldest event that is not in the warehouse; 0 when none waits.',
  );
  readonly #freshness = this.#gauge(
    'daybook_freshness_seconds',
    'How far reports lag: age of the oldest acknowledged event that is not in them; 0 when all are.',
  );
  readonly #warehouseUp = this.#gauge(
    'daybook_warehouse_up',
    '1 while the warehouse is open and takes inserts.',
  );
  readonly #requests = this.#histogram(
    'daybook_request_duration_seconds',
    'Time to answer a request.',
    SECONDS,
    ['method', 'route', 'status'],
  );
  readonly #batches = this.#histogram(
    'daybook_batch_events',
    'Events in a request to the batch route.',
    [1, 10, 50, 100, 500, 1_000, 5_000, 10_000],
  );
  readonly #inserts = this.#histogram(
    'daybook_insert_duration_seconds',
    'Time of one insert into the warehouse, rollups included.',
    SECONDS,
  );
  readonly #insertEvents = this.#histogram(
    'daybook_insert_events',
    'Events in one insert.',
    [1, 10, 100, 1_000, 10_000, 50_000],
  );
  readonly #queriesCancelled = this.#counter(
    'daybook_queries_cancelled_total',
    'Queries whose client was gone before the answer.',
  );
  readonly #queries = this.#histogram(
    'daybook_query_duration_seconds',
    'Time of one query to the warehouse.',
    SECONDS,
  );

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    const { transport } = sources;
    const holds = TRANSPORT_HOLDS[transport] ?? 'Events on their way.';
    this.#transportEvents = this.#gauge(`daybook_${transport}_events`, holds);
    this.#transportBytes = this.#gauge(`daybook_${transport}_bytes`, 'Bytes that they take.');
    this.#waiting = this.#gauge(
      `daybook_${transport}_waiting_requests`,
      `Requests that wait for the ${transport}.`,
    );
    collectDefaultMetrics({ register: this.#registry });
    this.#accepted.inc(0);
    for (const reason of ['rejected', 'corrupt']) this.#deadLetters.inc({ reason }, 0);
  }

  accepted(events: number): void {
    this.#accepted.inc(events);
  }

  rejected(reason: string, events: number): void {
    this.#rejected.inc({ reason }, events);
  }

  batch(events: number): void {
    this.#batches.observe(events);
  }

  request(method: string, route: string, status: number, ms: number): void {
    this.#requests.observe({ method, route, status: String(status) }, ms / 1_000);
  }

  insert(events: number, ms: number): void {
    this.#inserts.observe(ms / 1_000);
    this.#insertEvents.observe(events);
  }

  queryCancelled(): void {
    this.#queriesCancelled.inc();
  }

  query(ms: number): void {
    this.#queries.observe(ms / 1_000);
  }

  /** The page for Prometheus. When the warehouse does not answer, its gauges say so; the rest stays true. */
  async text(): Promise<string> {
    const { publisher, engine, now } = this.#sources;
    const { events, bytes, waiting } = publisher();
    this.#transportEvents.set(events);
    this.#transportBytes.set(bytes);
    this.#waiting.set(waiting);
    const stats = await engine().catch(() => undefined);
    this.#warehouseUp.set(stats?.warehouse === 'open' ? 1 : 0);
    this.#setLag(stats, now() * 1_000);
    if (stats !== undefined) this.#setLoader(stats);
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Unknown is not fresh: where the engine cannot tell, there is no figure, not even the last one. */
  #setLag(stats: EngineStats | undefined, nowUs: number): void {
    const figures = [
      [this.#lag, stats?.oldestWaitingUs],
      [this.#freshness, stats?.asOfUs],
    ] as const;
    for (const [gauge, us] of figures) {
      if (us === undefined) gauge.remove();
      else gauge.set(us === 'none' ? 0 : Math.max(0, (nowUs - us) / 1e6));
    }
  }

  #setLoader(stats: EngineStats): void {
    raise(this.#inserted, stats.inserted);
    raise(this.#forwarded, stats.forwarded);
    raise(this.#duplicates, stats.duplicates);
    raise(this.#failures, stats.failures);
    for (const [reason, count] of Object.entries(stats.deadLetters))
      raise(this.#deadLetters, count, { reason });
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[], labelNames: string[] = []): Histogram {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.#registry] });
  }
}

/** Sets a counter to a total that is kept elsewhere. */
function raise(counter: Counter, total: number, labels: Record<string, string> = {}): void {
  counter.remove(labels);
  counter.inc(labels, total);
}
