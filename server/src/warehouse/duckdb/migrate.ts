import type { DuckDBConnection } from '@duckdb/node-api';
import { StoreError } from '../../event/store-error.ts';
import { sql as initial } from './migrations/0001-initial.ts';
import { sql as eventIdGiven } from './migrations/0002-event-id-given.ts';

/** In order; the number of applied ones is the schema's version. Never edit one that was released: add one. */
const MIGRATIONS: readonly string[] = [initial, eventIdGiven];

/** Brings the file's schema up to date, each step in a transaction. Errors: `corrupt` when the file is newer than us. */
export async function migrate(connection: DuckDBConnection): Promise<void> {
  await connection.run(
    'CREATE TABLE IF NOT EXISTS migrations (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)',
  );
  const reader = await connection.runAndReadAll('SELECT coalesce(max(version), 0) FROM migrations');
  const version = Number(reader.getRows()[0]![0]);
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      'corrupt',
      `duckdb: the file has schema version ${version}, this Daybook knows ${MIGRATIONS.length}: start a newer Daybook`,
    );
  }
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index < version) continue;
    await connection.run('BEGIN');
    await connection.run(sql);
    await connection.run(`INSERT INTO migrations VALUES (${index + 1}, now()::TIMESTAMP)`);
    await connection.run('COMMIT');
  }
}
