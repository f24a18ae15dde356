import type { TableFields, TableToWatch } from './bigquery/table-fields.ts';
import type { BigqueryWarehouseOptions } from './bigquery/warehouse.ts';
import type { DuckdbWarehouseOptions } from './duckdb/warehouse.ts';
import type { Warehouse } from './contract.ts';

/** Where events end up. */
export type WarehouseOptions =
  | ({ readonly driver: 'duckdb' } & DuckdbWarehouseOptions)
  | ({ readonly driver: 'bigquery' } & BigqueryWarehouseOptions);

/**
 * What the driver's native library reads in the environment of the process. Set it on the main thread, whose environment is
 * that of the process, before `makeWarehouse`; the data directory must be there. `warn` is told what is missing.
 */
export async function environmentOf(
  options: WarehouseOptions,
  warn: (fault: string) => void,
): Promise<Readonly<Record<string, string>>> {
  if (options.driver !== 'duckdb') return {};
  const { timezoneFiles } = await import('./duckdb/timezones.ts');
  const files = timezoneFiles(options.directory);
  if ('variables' in files) return files.variables;
  warn(files.fault);
  return {};
}

/** Loads the driver of a warehouse and makes it, not yet open. No other engine's client is loaded. */
export async function makeWarehouse(options: WarehouseOptions): Promise<Warehouse> {
  if (options.driver === 'bigquery') {
    const { BigqueryWarehouse } = await import('./bigquery/warehouse.ts');
    return new BigqueryWarehouse(options);
  }
  const { DuckdbWarehouse } = await import('./duckdb/warehouse.ts');
  return new DuckdbWarehouse(options);
}

/** Which fields of an event a table of BigQuery has no column for. */
export async function makeTableFields(table: TableToWatch): Promise<TableFields> {
  const { tableFieldsOf } = await import('./bigquery/table-fields.ts');
  return tableFieldsOf(table);
}
