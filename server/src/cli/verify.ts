import type { Config } from '../config.ts';
import { reach } from './reach.ts';

/** Recomputes every rollup and says which differ; 1 when one does. */
export async function verify(config: Config): Promise<number> {
  const faults = await reach(config, (data) => data.verify());
  for (const { rollup, rows } of faults) process.stdout.write(`${rollup}: ${rows} rows differ\n`);
  if (faults.length === 0) process.stdout.write('the rollups agree with the rows\n');
  return faults.length === 0 ? 0 : 1;
}
