import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Position } from '../../event/position.ts';
import { StoreError } from '../../event/store-error.ts';
import type {
  ExportSlice,
  InsertResult,
  QueryOptions,
  RollupFault,
  Row,
  Statement,
  Warehouse,
  WarehouseSupports,
} from '../contract.ts';
import {
  datasetOf,
  locationOf,
  makeBigqueryClient,
  visible,
  type BigqueryClient,
  type BigqueryJob,
  type QueryJobOptions,
} from './client.ts';
import { EVENT_COLUMNS, type Column } from './columns.ts';
import { bigqueryDialect } from './dialect.ts';
import { bigqueryError, isDenied, isNotFound } from './errors.ts';
import { exportLines, exportQuery } from './export.ts';
import { tableId, tableSql, type BigqueryPlace } from './names.ts';
import { madeVersions } from './provision.ts';
import { readFaults } from './rights.ts';
import { rowsOf } from './rows.ts';
import { bigquerySupports } from './supports.ts';
import { tableChanges } from './table-check.ts';
import { dailyTableAge } from './daily-state.ts';
import { verifyDailyTable, verifyStatements } from './verify.ts';
import { viewVersions } from './views.ts';

export interface BigqueryWarehouseOptions {
  /** Project that queries run in and are billed to. */
  readonly projectId: string;
  readonly place: BigqueryPlace;
  /** Where queries run, while it is not known where the dataset lies. */
  readonly location: string;
  /** Reporting timezone, an IANA name; that of the views. */
  readonly timezone: string;
  /** A query that would be billed for more bytes fails, and costs nothing. */
  readonly bytesBilledMax: number;
  /** For how long the answer to a statement may be shown again, in milliseconds. */
  readonly stalenessMs: number;
  /** Whether the client talks to an emulator, which asks for no credentials. */
  readonly emulator: boolean;
  /** For tests. Default: Google's client. */
  readonly makeClient?: () => BigqueryClient;
}

/** Labels of every query, so that its cost can be told apart on the bill. */
const LABELS = { app: 'daybook' } as const;

/** Longest time of an export or of a comparison, in milliseconds. */
const LONG_TIMEOUT_MS = 3_600_000;

/** Shortest time from one search for what is missing to the next, in milliseconds. */
const EXPLAIN_MS = 30_000;

/** The views are not those of this version. */
class ViewsError extends StoreError {}

/**
 * BigQuery, filled by a Pub/Sub subscription without code between: this driver only reads. Rollups are materialized
 * views (`views.ts`), made by `daybook gcp provision`; `open` refuses views that are not those of this version and timezone.
 */
export class BigqueryWarehouse implements Warehouse {
  readonly name = 'bigquery';
  readonly dialect;
  readonly supports: WarehouseSupports;
  readonly #options: BigqueryWarehouseOptions;
  #client: BigqueryClient | undefined;
  #location: string;
  #explainAfterMs = 0;
  /** Report whose table is not there → when it is asked for again. */
  readonly #missingUntilMs = new Map<string, number>();

  constructor(options: BigqueryWarehouseOptions) {
    this.#options = options;
    this.#location = options.location;
    this.dialect = bigqueryDialect(options.place, options.timezone);
    this.supports = bigquerySupports(options.stalenessMs);
  }

  async open(): Promise<void> {
    const { projectId, place, location, emulator, makeClient } = this.#options;
    try {
      const client = makeClient?.() ?? makeBigqueryClient({ projectId, location, emulator });
      try {
        this.#location = (await locationOf(client, place)) ?? location;
        await this.#checkTable(client);
        await this.#checkViews(client);
      } catch (error) {
        throw await this.#explained(client, error);
      }
      this.#client = client;
    } catch (error) {
      throw bigqueryError(error);
    }
  }

  /** The error with what is missing by name, where a right or a thing is; asked for once in a while, however many fail. */
  async #explained(client: BigqueryClient, error: unknown): Promise<unknown> {
    if (!isDenied(error) && !isNotFound(error) && !(error instanceof ViewsError)) return error;
    const nowMs = performance.now();
    if (nowMs < this.#explainAfterMs) return error;
    this.#explainAfterMs = nowMs + EXPLAIN_MS;
    const { place, projectId } = this.#options;
    const faults = await readFaults(client, { place, projectId }).catch(() => []);
    if (faults.length === 0) return error;
    return new StoreError('unavailable', `bigquery: ${faults.join('; ')}`, { cause: error });
  }

  /** A table that lacks a column refuses a message with its field; one that wants a field refuses those without. */
  async #checkTable(client: BigqueryClient): Promise<void> {
    const { place } = this.#options;
    const metadata = await visible(datasetOf(client, place).table(tableId(place, 'table')).getMetadata());
    if (metadata === undefined) return;
    const { missing, relaxed } = tableChanges(tableId(place, 'table'), metadata, EVENT_COLUMNS);
    const names = (columns: readonly Column[]) => columns.map(({ name }) => name).join(', ');
    if (missing.length + relaxed.length === 0) return;
    throw new StoreError(
      'unavailable',
      `bigquery: table ${tableSql(place, 'table')}: ` +
        [
          missing.length === 0
            ? ''
            : `the columns ${names(missing)} are missing: events are sent without them; `,
          relaxed.length === 0
            ? ''
            : `the columns ${names(relaxed)} are REQUIRED: events without them become dead letters; `,
        ].join('') +
        'run "daybook gcp provision" and wait some minutes',
    );
  }

  async #checkViews(client: BigqueryClient): Promise<void> {
    const { place, timezone } = this.#options;
    const made = await madeVersions(client, place, this.#location);
    const others = [...viewVersions(timezone)].filter(([name, version]) => made.get(name) !== version);
    if (others.length === 0) return;
    const names = others.map(([name]) => name);
    throw new ViewsError(
      'unavailable',
      `bigquery: views of ${tableSql(place, 'table')} are missing (${names.join(', ')}), or made for another timezone ` +
        `than ${timezone} or by another version: run "daybook gcp provision"`,
    );
  }

  query(statement: Statement, options: QueryOptions): Promise<readonly Row[]> {
    return this.#ask(statement, options, { maximumBytesBilled: String(this.#options.bytesBilledMax) });
  }

  /** An export and a comparison read the whole table by their nature, so only reports have a limit on bytes. */
  async #ask(
    statement: Statement,
    { timeoutMs, signal, billed }: QueryOptions,
    limit: Pick<QueryJobOptions, 'maximumBytesBilled'> = {},
  ): Promise<readonly Row[]> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const stop = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
    if (stop.aborted) throw stopped();
    if (this.#isMissing(statement)) return [];
    const job = this.#use()
      .createQueryJob({ ...this.#jobOptions(statement, timeoutMs), ...limit })
      .then(([started]) => started);
    try {
      const rows = job.then((started) => started.getQueryResults({ wrapIntegers: true, timeoutMs }));
      const [found] = await Promise.race([rows, aborted(stop)]);
      if (billed !== undefined)
        await Promise.race([tellBilled(job, billed), aborted(stop)]).catch(() => undefined);
      return rowsOf(found);
    } catch (error) {
      // Nobody waits for it any more; a job that is not even there yet is cancelled when it is.
      if (stop.aborted) job.then((started) => started.cancel()).catch(() => undefined);
      if (statement.mayBeMissing === true && isNotFound(error)) {
        this.#missingUntilMs.set(statement.report ?? '', performance.now() + EXPLAIN_MS);
        return [];
      }
      throw bigqueryError(await this.#explained(this.#use(), error));
    }
  }

  /** What was not there a moment ago is not asked for. */
  #isMissing({ mayBeMissing, report = '' }: Statement): boolean {
    return mayBeMissing === true && performance.now() < (this.#missingUntilMs.get(report) ?? 0);
  }

  #jobOptions({ sql, params, report }: Statement, timeoutMs: number): QueryJobOptions {
    const nulls = Object.entries(params).filter(([, value]) => value === null);
    return {
      query: sql,
      params: { ...params },
      types: Object.fromEntries(nulls.map(([name]) => [name, 'STRING'])),
      labels: report === undefined ? LABELS : { ...LABELS, report },
      jobTimeoutMs: timeoutMs,
      location: this.#location,
    };
  }

  /**
   * Compares what the materialized views say with the events themselves, and what the table of days says with the events that were
   * there when it was made; reads the whole table.
   */
  async verify(): Promise<readonly RollupFault[]> {
    const faults: RollupFault[] = [];
    const { place, timezone } = this.#options;
    const statements = [...verifyStatements(place, timezone)];
    const asOfUs = await dailyTableAge(this.#use(), { place, timezone, location: this.#location });
    if (asOfUs !== undefined) statements.push(['daily_table', verifyDailyTable(place, timezone, asOfUs)]);
    for (const [rollup, statement] of statements) {
      const [row] = await this.#ask(statement, { timeoutMs: LONG_TIMEOUT_MS });
      const rows = Number(row?.['differing'] ?? 0);
      if (rows > 0) faults.push({ rollup, rows });
    }
    return faults;
  }

  async exportTo(slice: ExportSlice, { signal }: Pick<QueryOptions, 'signal'> = {}): Promise<void> {
    const { place, timezone } = this.#options;
    if (!this.supports.exportFormats.includes(slice.format)) {
      throw new StoreError(
        'rejected',
        'bigquery: export as ndjson here; for CSV and Parquet use EXPORT DATA in BigQuery',
      );
    }
    try {
      const job = this.#jobOptions(exportQuery(place, timezone, slice), LONG_TIMEOUT_MS);
      const lines = exportLines(this.#use().createQueryStream(job));
      await pipeline(lines, createWriteStream(slice.path), signal === undefined ? {} : { signal });
    } catch (error) {
      throw signal?.aborted === true ? stopped() : bigqueryError(error);
    }
  }

  backup(): Promise<void> {
    return Promise.reject(unsupported(`copies are BigQuery's own: see table snapshots of ${this.#table()}`));
  }

  positions(): Promise<readonly Position[]> {
    return Promise.reject(unsupported('the subscription writes, no loader'));
  }

  insert(): Promise<InsertResult> {
    return Promise.reject(unsupported(`the subscription writes ${this.#table()}, no loader`));
  }

  check(): Promise<void> {
    return Promise.reject(unsupported('the subscription writes, no loader'));
  }

  close(): Promise<void> {
    this.#client = undefined;
    return Promise.resolve();
  }

  #table(): string {
    return tableSql(this.#options.place, 'table');
  }

  #use(): BigqueryClient {
    if (this.#client === undefined) throw new StoreError('closed', 'bigquery: not open');
    return this.#client;
  }
}

/** https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobStatistics2.FIELDS.total_bytes_billed */
async function tellBilled(job: Promise<BigqueryJob>, billed: (bytes: number) => void): Promise<void> {
  const [{ statistics }] = await (await job).getMetadata();
  const bytes = statistics?.query?.totalBytesBilled;
  if (bytes !== undefined) billed(Number(bytes));
}

/** Rejects with `timeout` when the signal fires. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(stopped());
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

function stopped(): StoreError {
  return new StoreError('timeout', 'bigquery: the query was stopped');
}

function unsupported(why: string): StoreError {
  return new StoreError('rejected', `bigquery: ${why}`);
}
