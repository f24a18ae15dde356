import type { ReportSource } from './source.ts';

export interface DeadLettersReport {
  /** Newest first. */
  readonly dead_letters: readonly {
    /** ISO 8601, UTC. */
    readonly died_at: string;
    readonly reason: string;
    readonly detail: string;
    readonly body: string;
  }[];
}

/** The newest events that the warehouse refused or the journal could not read back, with their reasons. */
export async function deadLettersReport(source: ReportSource, limit: number): Promise<DeadLettersReport> {
  const { dialect } = source;
  const rows = await source.query({
    report: 'dead_letters',
    weight: 'rows',
    sql: `SELECT ${dialect.unixMicroseconds('died_at')} AS died_at_us, reason, detail, body
      FROM ${dialect.table('dead_letters')} ORDER BY died_at DESC LIMIT ${dialect.param('limit')}`,
    params: { limit },
  });
  return {
    dead_letters: rows.map((row) => ({
      died_at: new Date(Number(row['died_at_us']) / 1_000).toISOString(),
      reason: String(row['reason']),
      detail: String(row['detail']),
      body: String(row['body']),
    })),
  };
}
