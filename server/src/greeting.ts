import type { Config } from './config.ts';
import { EVENT_EXAMPLE } from './event/schema.ts';

/** What the server prints once it listens: where it is, where the data lies, what to try. */
export function greeting(url: string, config: Config): string {
  const event = JSON.stringify({ ...EVENT_EXAMPLE, event_time: Math.floor(Date.now() / 1_000) });
  return `
Daybook listens on ${url}
Data: ${place(config)}   Days: ${config.timezone}   API: ${url}/docs

Send an event:
  curl ${url}/analytics/event -H 'content-type: application/json'${keyHeader(config.writeKeys, 'WRITE_KEY')} \\
    -d '${event}'
Read the days:
  curl ${url}/analytics/daily${keyHeader(config.readKeys, 'READ_KEY')}
`;
}

function place({ warehouse, dataDirectory, google, journal }: Config): string {
  if (warehouse === 'duckdb') return dataDirectory;
  const { projectId, dataset, table } = google.place;
  const through = `Pub/Sub topic ${google.topic}${journal ? `, behind a journal in ${dataDirectory}` : ''}`;
  return `BigQuery ${projectId}.${dataset}.${table}, through ${through}`;
}

function keyHeader(keys: readonly string[], variable: string): string {
  return keys.length === 0 ? '' : ` \\\n    -H "authorization: Bearer $${variable}"`;
}
