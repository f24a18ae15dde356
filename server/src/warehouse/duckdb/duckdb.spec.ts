import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { describeWarehouse } from '../conformance.ts';
import { DUCKDB_ERRORS, duckdbError } from './errors.ts';
import { DUCKDB_FILE, DuckdbWarehouse } from './warehouse.ts';

describeWarehouse('DuckDB', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-duckdb-'));
  return {
    make: async (timezone = 'UTC') =>
      new DuckdbWarehouse({ directory, timezone, memoryBytesMax: 256 * 1_024 * 1_024, threads: 2 }),
    tamper: async (warehouse) => {
      await warehouse.close();
      const instance = await DuckDBInstance.create(join(directory, DUCKDB_FILE));
      const connection = await instance.connect();
      await connection.run(`UPDATE daily SET active_users = active_users + 1 WHERE day = DATE '2021-12-01'`);
      connection.closeSync();
      instance.closeSync();
      await warehouse.open();
    },
    cleanUp: async () => rmSync(directory, { recursive: true, force: true }),
  };
});

describe('duckdbError()', () => {
  it.each([
    ['IO Error: Could not set lock on file: Conflicting lock is held in node (PID 1)', 'unavailable'],
    ['INTERRUPT Error: Interrupted!', 'timeout'],
    ['FATAL Error: Failed: database has been invalidated because of a previous fatal error', 'closed'],
    ['INTERNAL Error: Attempted to access index 0', 'closed'],
    ['Connection Error: connection closed', 'closed'],
    ['IO Error: The file "x" exists, but it is not a valid DuckDB database file!', 'corrupt'],
    ['Serialization Error: Failed to deserialize', 'corrupt'],
    ['Invalid Input Error: Malformed JSON at byte 0', 'rejected'],
    ['Conversion Error: Could not convert string', 'rejected'],
    ['Constraint Error: NOT NULL constraint failed', 'rejected'],
    ['IO Error: Could not write file: No space left on device', 'unavailable'],
    ['Out of Memory Error: failed to allocate', 'unavailable'],
    ['something that nobody knows', 'unavailable'],
  ])('%s → %s', (message, code) => {
    expect(duckdbError(new Error(message))).toMatchObject({ name: 'StoreError', code });
  });

  it('has a test for every pattern', () => {
    expect(DUCKDB_ERRORS.length).toBe(8);
  });
});
