import type { Config } from './config.ts';
import { EVENT_EXAMPLE } from './event/schema.ts';

/** What the server prints once it listens: where it is, where the data lies, what to try. */
export function greeting(url: string, config: Config): string {
  const event = JSON.stringify({ ...EVENT_EXAMPLE, event_time: Math.floor(Date.now() / 1_000) });
  return `
Daybook listens on ${url}
Data: ${config.dataDirectory}   Days: ${config.timezone}   API: ${url}/docs

Send an event:
  curl ${url}/analytics/event -H 'content-type: application/json'${keyHeader(config.writeKeys, 'WRITE_KEY')} \\
    -d '${event}'
Read the days:
  curl ${url}/analytics/daily${keyHeader(config.readKeys, 'READ_KEY')}
`;
}

function keyHeader(keys: readonly string[], variable: string): string {
  return keys.length === 0 ? '' : ` \\\n    -H "authorization: Bearer $${variable}"`;
}
