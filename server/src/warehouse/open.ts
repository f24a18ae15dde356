import type { DuckdbWarehouseOptions } from './duckdb/warehouse.ts';
import type { Warehouse } from './contract.ts';

/** Loads the driver of a warehouse and makes it, not yet open. No other engine's client is loaded. */
export async function makeWarehouse(options: DuckdbWarehouseOptions): Promise<Warehouse> {
  const { DuckdbWarehouse } = await import('./duckdb/warehouse.ts');
  return new DuckdbWarehouse(options);
}
