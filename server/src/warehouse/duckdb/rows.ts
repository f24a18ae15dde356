import { DuckDBDateValue, type DuckDBResultReader, type DuckDBValue } from '@duckdb/node-api';
import type { Row } from '../contract.ts';

/** A result as the rows of the contract. */
export function rowsOf(reader: DuckDBResultReader): readonly Row[] {
  const names = reader.columnNames();
  return reader.getRows().map((values) => {
    const row: Record<string, Row[string]> = {};
    for (const [index, name] of names.entries()) row[name] = scalar(values[index] ?? null);
    return row;
  });
}

function scalar(value: DuckDBValue): Row[string] {
  if (typeof value === 'bigint') {
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
  if (
    value === null ||
    typeof value === 'number' ||
    typeof value === 'string' ||
    typeof value === 'boolean'
  ) {
    return value;
  }
  if (value instanceof DuckDBDateValue) return value.toString();
  throw new TypeError(
    `a report selected a value of type ${value.constructor.name}: cast it in the statement`,
  );
}
