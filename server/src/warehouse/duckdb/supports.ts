import type { WarehouseSupports } from '../contract.ts';

export const duckdbSupports: WarehouseSupports = {
  insert: true,
  backup: true,
  exportFormats: ['ndjson', 'csv', 'parquet'],
  exportInSlices: true,
};
