import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describeWarehouse } from '../conformance.ts';
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
