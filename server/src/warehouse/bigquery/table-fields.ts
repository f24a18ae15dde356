import { setTimeout as sleep } from 'node:timers/promises';
import {
  datasetOf,
  makeBigqueryClient,
  visible,
  type BigqueryClient,
  type BigqueryClientOptions,
} from './client.ts';
import { EVENT_COLUMNS } from './columns.ts';
import { tableId, type BigqueryPlace } from './names.ts';

/** Longest time that a start waits for the columns, in milliseconds: events are taken without BigQuery. */
const PATIENCE_MS = 3_000;
/** From one look to the next while a column is missing, or the table could not be looked at. */
const LOOK_MS = 60_000;
/** How long a column must have been there before its field is sent: a subscription learns of new columns minutes later. */
const SETTLE_MS = 600_000;

export interface TableFieldsOptions {
  readonly place: BigqueryPlace;
  readonly makeClient: () => BigqueryClient;
  /** On a monotonic clock, in milliseconds. */
  readonly nowMs?: () => number;
}

/** Where the table lies and as whom it is looked at: values alone, which also go to another thread. */
export interface TableToWatch extends BigqueryClientOptions {
  readonly place: BigqueryPlace;
}

/** Looks at the table with a client of Google's. */
export function tableFieldsOf({ place, ...client }: TableToWatch): TableFields {
  return new TableFields({ place, makeClient: () => makeBigqueryClient(client) });
}

/**
 * Which fields of an event the table has no column for, as with a server that is newer than its table. A message with such a field would
 * become a dead letter, at once and after it was acknowledged: Pub/Sub does not pause between its tries where a schema does not
 * fit. https://cloud.google.com/pubsub/docs/bigquery#handle_message_failures
 *
 * Where the table cannot be looked at, nothing is left out. A column that was there at the start is taken to be known.
 */
export class TableFields {
  readonly #options: TableFieldsOptions;
  readonly #nowMs: () => number;
  readonly #omitted = new Set<string>();
  /** Column that appeared → when it was first seen. */
  readonly #seenMs = new Map<string, number>();
  #client: BigqueryClient | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TableFieldsOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Fields to leave out now. */
  get omitted(): ReadonlySet<string> {
    return this.#omitted;
  }

  async open(): Promise<void> {
    this.#client = this.#options.makeClient();
    await Promise.race([this.#lookOn(), sleep(PATIENCE_MS, undefined, { ref: false })]);
  }

  close(): void {
    this.#client = undefined;
    clearTimeout(this.#timer);
  }

  /** Looks, and again later for as long as something is missing. */
  async #lookOn(): Promise<void> {
    const done = await this.look().catch(() => false);
    if (done || this.#client === undefined) return;
    this.#timer = setTimeout(() => void this.#lookOn(), LOOK_MS).unref();
  }

  /** Compares the table with what messages have; true when nothing is missing. */
  async look(): Promise<boolean> {
    const { place } = this.#options;
    if (this.#client === undefined) return false;
    const metadata = await visible(
      datasetOf(this.#client, place).table(tableId(place, 'table')).getMetadata(),
    );
    if (metadata?.schema?.fields === undefined) return false;
    const present = new Set(metadata.schema.fields.map(({ name }) => name?.toLowerCase()));
    const nowMs = this.#nowMs();
    for (const { name } of EVENT_COLUMNS) {
      if (!present.has(name)) {
        this.#omitted.add(name);
        this.#seenMs.delete(name);
      } else if (this.#omitted.has(name)) {
        const seenMs = this.#seenMs.get(name) ?? nowMs;
        this.#seenMs.set(name, seenMs);
        if (nowMs - seenMs >= SETTLE_MS) this.#omitted.delete(name);
      }
    }
    return this.#omitted.size === 0;
  }
}
