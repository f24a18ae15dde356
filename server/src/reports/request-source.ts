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
  /** Of each answer, in bytes. */
  readonly #billed: (number | undefined)[] = [];

  constructor(reports: Reports, asking: Asking) {
    this.dialect = reports.dialect;
    this.project = reports.project;
    this.reportingTimezone = reports.reportingTimezone;
    this.#reports = reports;
    this.#asking = asking;
  }

  async query(statement: Statement): Promise<readonly Row[]> {
    const { rows, asOfUs, bytesBilled } = await this.#reports.ask(statement, this.#asking);
    this.#reaches.push(asOfUs);
    this.#billed.push(bytesBilled);
    return rows;
  }

  /** What all answers were billed for; undefined where that is not known of one. */
  get bytesBilled(): number | undefined {
    const bytes = this.#billed.reduce<number>((sum, each) => sum + (each ?? Number.NaN), 0);
    return this.#billed.length === 0 || Number.isNaN(bytes) ? undefined : bytes;
  }

  /** Every event acknowledged before this moment is in all answers; undefined where one does not say. */
  get asOf(): Date | undefined {
    const us = Math.min(...this.#reaches.map((reach) => reach ?? Number.NaN));
    return Number.isFinite(us) ? new Date(Math.floor(us / 1_000)) : undefined;
  }
}
