import type { WarehouseSupports } from '../contract.ts';

/** `resultsKeptMs`: for how long the answer to a statement may be shown again. */
export function bigquerySupports(resultsKeptMs: number): WarehouseSupports {
  // Every query is billed for a scan, so an export must be one.
  return { insert: false, backup: false, exportFormats: ['ndjson'], exportInSlices: false, resultsKeptMs };
}
