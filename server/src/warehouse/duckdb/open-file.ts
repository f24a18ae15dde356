import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { Position } from '../../event/position.ts';
import { checkCatalogue } from './catalogue.ts';
import { CLOSED_OPTIONS, confine, refuseLinks } from './confine.ts';
import { duckdbError } from './errors.ts';
import { readPositions } from './positions.ts';

/** The file's name in the data directory. DuckDB keeps `daybook.duckdb.wal` beside it. */
export const DUCKDB_FILE = 'daybook.duckdb';

interface OpenFile {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

/**
 * Opens the file of a directory, or makes it: confined to itself, and holding our tables alone. What fails is closed again,
 * so that the file can be opened by others. Errors: DuckDB's own, and `corrupt` where the file is not ours.
 */
export async function openFile(
  directory: string,
  options: Readonly<Record<string, string>>,
): Promise<OpenFile> {
  const path = join(directory, DUCKDB_FILE);
  refuseLinks(path);
  const instance = await DuckDBInstance.create(path, { ...options, ...CLOSED_OPTIONS });
  try {
    const connection = await instance.connect();
    await confine(connection, directory);
    await checkCatalogue(connection);
    return { instance, connection };
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}

/**
 * Checks that a file which comes from elsewhere is a database of ours, and changes nothing. Returns how far it holds the events
 * of each source. Errors: `corrupt` when it is not ours.
 */
export async function checkDuckdbFile(directory: string): Promise<readonly Position[]> {
  try {
    const { instance, connection } = await openFile(directory, { access_mode: 'READ_ONLY' });
    try {
      return await readPositions(connection);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  } catch (error) {
    throw duckdbError(error);
  }
}
