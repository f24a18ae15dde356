import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { RollupFault } from '../../src/warehouse/contract.ts';
import { DuckdbWarehouse } from '../../src/warehouse/duckdb/warehouse.ts';

/** What a data directory holds after its server ended. */
export interface Stored {
  /** user_id → events. */
  readonly users: ReadonlyMap<string, number>;
  readonly events: number;
  readonly faults: readonly RollupFault[];
}

/** Opens the warehouse in place, without the server. */
export async function readStored(directory: string): Promise<Stored> {
  const warehouse = new DuckdbWarehouse({ directory, timezone: 'UTC', memoryBytesMax: 2 ** 30, threads: 2 });
  await warehouse.open();
  try {
    const rows = await warehouse.query(
      { sql: 'SELECT user_id, count(*) AS events FROM events GROUP BY user_id', params: {} },
      { timeoutMs: 60_000 },
    );
    const users = new Map(rows.map((row) => [String(row['user_id']), Number(row['events'])]));
    const events = [...users.values()].reduce((sum, n) => sum + n, 0);
    return { users, events, faults: await warehouse.verify() };
  } finally {
    await warehouse.close();
  }
}

/** A data directory of the test's own, removed at its end. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
