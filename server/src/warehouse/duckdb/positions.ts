import type { DuckDBConnection } from '@duckdb/node-api';
import { checkPosition, type Position } from '../../event/position.ts';

/** How far the file holds the events of each source. Errors: `corrupt` where no counting leads to a position. */
export async function readPositions(connection: DuckDBConnection): Promise<readonly Position[]> {
  const reader = await connection.runAndReadAll('SELECT source, "end" FROM positions');
  return reader.getRows().map(([source, end]) => ({
    source: String(source),
    end: checkPosition(end as bigint, 'duckdb: the table positions'),
  }));
}
