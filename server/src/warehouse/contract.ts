import type { EventLines } from '../event/lines.ts';
import type { Position } from '../event/position.ts';
import type { Dialect } from './dialect.ts';

/** An event that the warehouse refuses, or that could not be read back, kept with its reason. */
export interface DeadLetter {
  /** `rejected` by the warehouse, or `corrupt`: unreadable in the transport. */
  readonly reason: 'rejected' | 'corrupt';
  /** What the store said, for operators. */
  readonly detail: string;
  /** The line as far as it could be read. */
  readonly body: string;
}

/** What one insert stores, all or nothing. */
export interface InsertBatch {
  readonly lines: EventLines;
  readonly deadLetters: readonly DeadLetter[];
  /** Where the source stands after this batch; stored with the rows. */
  readonly position: Position;
  /** Unix microseconds; becomes the dead letters' `died_at`. */
  readonly nowUs: number;
}

export interface InsertResult {
  /** Events that are new. */
  readonly inserted: number;
  /** Events whose event_id was stored before, or stood twice in the batch. */
  readonly duplicates: number;
  /** What the sink itself gave up and kept elsewhere, beyond the batch's own dead letters. */
  readonly deadLetters?: readonly DeadLetter[];
}

/** What a statement reads: `rollup` what it shows, so it is always quick; `rows` what is stored, so it may take long. */
export type Weight = 'rollup' | 'rows';

/** A SQL text of the warehouse's dialect with its named parameters. Values never stand in the text. */
export interface Statement {
  /** Default: rows. */
  readonly weight?: Weight;
  /** Which report asks, for the engine's own accounts, e.g. the labels of a bill: lower case, digits, `_`. */
  readonly report?: string;
  /** Where a table that it reads is not there, it is answered with no rows. */
  readonly mayBeMissing?: true;
  readonly sql: string;
  readonly params: Readonly<Record<string, string | number | null>>;
}

/** A column `as_of_us` says, in unix microseconds, how far the rows reach, where they are of the past. Numbers come as numbers where they are safe integers or doubles, as bigint beyond; dates as YYYY-MM-DD. */
export type Row = Readonly<Record<string, string | number | bigint | boolean | null>>;

export interface QueryOptions {
  readonly timeoutMs: number;
  /** Nobody waits for the rows any more. */
  readonly signal?: AbortSignal;
  /** Told the bytes that the statement was billed for, where it is billed. */
  readonly billed?: (bytes: number) => void;
}

/** A rollup row that differs from what the rows say. */
export interface RollupFault {
  readonly rollup: string;
  /** Rows that the rollup has and should not, or that it lacks. */
  readonly rows: number;
}

/** How an export is written. */
export type ExportFormat = 'ndjson' | 'csv' | 'parquet';

/** Days in the reporting timezone, YYYY-MM-DD, both included; absent is without bound. */
export interface ExportRange {
  readonly from?: string;
  readonly to?: string;
}

/** One slice of an export: everything that happened in a range, in order of event_time and event_id, written to a file. */
export interface ExportSlice extends ExportRange {
  readonly format: ExportFormat;
  /** Of the range, what happened at or after this moment, in unix microseconds; absent is without bound. */
  readonly sinceUs?: number;
  /** And before this one. */
  readonly beforeUs?: number;
  readonly path: string;
}

/** What an engine can do; read by the conformance suite and by the features that need it. */
export interface WarehouseSupports {
  /** `insert`, `check` and `positions` work; else the transport delivers into the warehouse by itself. */
  readonly insert: boolean;
  /** `backup` works; else the engine's operator keeps the copies. */
  readonly backup: boolean;
  readonly exportFormats: readonly ExportFormat[];
  /** An export may be cut into slices, each sorted by itself; else it must be one, in any order, because each is billed as a scan. */
  readonly exportInSlices: boolean;
  /** For how long a result may be shown, in milliseconds; absent: until the next insert. */
  readonly resultsKeptMs?: number;
}

/** Where the loader puts what it receives: a warehouse, or a transport that goes on. See `Warehouse` for the promises. */
export interface Sink {
  open(): Promise<void>;
  insert(batch: InsertBatch): Promise<InsertResult>;
  /** Does all that `insert` would do with the lines and undoes it: rejects as `insert` would, stores nothing. */
  check(lines: EventLines): Promise<void>;
  close(): Promise<void>;
}

/**
 * Where events end up, and what reports ask.
 *
 * `insert` makes rows, rollups, dead letters and position visible and durable together, or nothing of
 * them. An event whose (project, event_id) is stored already is skipped, in this batch or any earlier.
 * Lines come as bytes, which a driver passes on as they are where its engine takes files or streams.
 * A batch whose position is not beyond the stored one of the same source is skipped whole. One insert at a
 * time; queries run beside it and see the state before or after it, never between.
 *
 * Errors are `StoreError`s: `rejected` (the batch has a line that will never be taken: split it),
 * `unavailable` and `timeout` (try the same batch later), `closed` and `corrupt` (close, open, then try
 * again). What an engine does not support it rejects with `rejected`. No driver retries, batches, times or logs;
 * that is the loader's. Nor does it bound how many queries run: `QueryTurns` does.
 *
 * `query` ends at its deadline, and when its signal fires, with `timeout`; the engine stops the statement, also one that
 * it is planning or has not begun. DuckDB settles when it has stopped; what is billed is cancelled by its job.
 * A signal that fired before the call starts nothing. `exportTo` does the same, and leaves no file.
 */
export interface Warehouse extends Sink {
  readonly name: string;
  readonly dialect: Dialect;
  readonly supports: WarehouseSupports;
  /** The last stored position of every source. */
  positions(): Promise<readonly Position[]>;
  query(statement: Statement, options: QueryOptions): Promise<readonly Row[]>;
  /** Recomputes every rollup from the rows and compares; an empty list is what should come. */
  verify(): Promise<readonly RollupFault[]>;
  /** Writes a consistent copy into the directory. No insert runs meanwhile. */
  backup(directory: string): Promise<void>;
  exportTo(slice: ExportSlice, options?: Pick<QueryOptions, 'signal'>): Promise<void>;
}
