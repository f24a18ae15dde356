import { DEFAULT_PROJECT } from '../access/keys.ts';
import type { Config } from '../config.ts';
import { dialectOf } from '../drivers.ts';
import { printableJson } from '../printable.ts';
import { deadLettersReport } from '../reports/dead-letters.ts';
import { reach } from './reach.ts';

/** Prints the newest dead letters as NDJSON. */
export async function deadLetters(config: Config, limit: number): Promise<number> {
  const { dead_letters: letters } = await reach(config, (data) =>
    deadLettersReport(
      {
        dialect: dialectOf(config),
        project: DEFAULT_PROJECT,
        reportingTimezone: config.timezone,
        query: (statement) => data.query(statement),
      },
      limit,
    ),
  );
  for (const letter of letters) process.stdout.write(`${printableJson(letter)}\n`);
  return 0;
}
