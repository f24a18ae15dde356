import type { Row, Statement } from '../warehouse/contract.ts';
import type { Dialect } from '../warehouse/dialect.ts';

/** What a report asks: a warehouse, seen from one project. */
export interface ReportSource {
  readonly dialect: Dialect;
  readonly project: string;
  /** IANA name; the rollups' days are days of this timezone. */
  readonly reportingTimezone: string;
  query(statement: Statement): Promise<readonly Row[]>;
}

/** Injection token of `ReportSource`. */
export const REPORT_SOURCE = Symbol('ReportSource');
