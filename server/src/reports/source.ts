import type { Row, Statement } from '../warehouse/contract.ts';
import type { Dialect } from '../warehouse/dialect.ts';
import type { Answer } from '../warehouse/query-cache.ts';

/** The warehouse as seen from one project. */
interface ProjectView {
  readonly dialect: Dialect;
  readonly project: string;
  /** IANA name; the rollups' days are days of this timezone. */
  readonly reportingTimezone: string;
}

/** What a report asks. */
export interface ReportSource extends ProjectView {
  query(statement: Statement): Promise<readonly Row[]>;
}

/** Who asks for a report. */
export interface Asking {
  /** Statements that read rows take turns by it. */
  readonly asker: string;
  /** Nobody waits for the report any more. */
  readonly signal: AbortSignal;
}

/** Where the answers to reports come from. */
export interface Reports extends ProjectView {
  ask(statement: Statement, asking: Asking): Promise<Answer>;
}

/** Injection token of `Reports`. */
export const REPORTS = Symbol('Reports');
