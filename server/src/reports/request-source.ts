import type { Row, Statement } from '../warehouse/contract.ts';
import type { Asking, ReportSource, Reports } from './source.ts';

/** What one request asks, and how far its answers reach. */
export class RequestSource implements ReportSource {
  readonly dialect;
  readonly project;
  readonly reportingTimezone;
  readonly #reports: Reports;
  readonly #asking: Asking;
  /** Of each answer, unix microseconds. */
  readonly #reaches: (number | undefined)[] = [];

  constructor(reports: Reports, asking: Asking) {
    this.dialect = reports.dialect;
    this.project = reports.project;
    this.reportingTimezone = reports.reportingTimezone;
    this.#reports = reports;
    this.#asking = asking;
  }

  async query(statement: Statement): Promise<readonly Row[]> {
    const { rows, asOfUs } = await this.#reports.ask(statement, this.#asking);
    this.#reaches.push(asOfUs);
    return rows;
  }

  /** Every event acknowledged before this moment is in all answers; undefined where one does not say. */
  get asOf(): Date | undefined {
    const us = Math.min(...this.#reaches.map((reach) => reach ?? Number.NaN));
    return Number.isFinite(us) ? new Date(Math.floor(us / 1_000)) : undefined;
  }
}
