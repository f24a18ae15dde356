import type { DuckDBConnection } from '@duckdb/node-api';
import { newer } from './catalogue.ts';
import { CREATE_MIGRATIONS, MIGRATIONS } from './migrations.ts';

/**
 * Brings the schema of a file whose catalogue was checked up to date, each step in a transaction. Errors: `corrupt` when
 * the file is newer than us.
 */
export async function migrate(connection: DuckDBConnection): Promise<void> {
  await connection.run(CREATE_MIGRATIONS);
  const reader = await connection.runAndReadAll('SELECT coalesce(max(version), 0) FROM migrations');
  const version = Number(reader.getRows()[0]![0]);
  if (version > MIGRATIONS.length) throw newer(version);
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index < version) continue;
    await connection.run('BEGIN');
    await connection.run(sql);
    await connection.run(`INSERT INTO migrations VALUES (${index + 1}, now()::TIMESTAMP)`);
    await connection.run('COMMIT');
  }
}
