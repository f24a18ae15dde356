import type { Access } from './access/keys.ts';
import type { StoredKeys } from './access/stored-keys.ts';
import type { Config } from './config.ts';
import { EVENT_EXAMPLE } from './event/schema.ts';

/** Keys that were made at this start. They are shown here and nowhere else. */
export function madeKeysText({ made, path }: Pick<StoredKeys, 'made' | 'path'>): string {
  const lines = Object.entries(made).map(([access, key]) => `  ${access} key: ${key}\n`);
  return `
Keys were made, because this server can be reached from other machines. They are shown this once:
${lines.join('')}Only their hashes are stored, in ${path}. Lost keys: remove that file, and new ones are made at the next start.
`;
}

/** What the server prints once it listens: where it is, which mode and why, where the data lies, what to try. */
export function greeting(url: string, config: Config): string {
  const event = JSON.stringify({ ...EVENT_EXAMPLE, event_time: Math.floor(Date.now() / 1_000) });
  return `
Daybook listens on ${url}
${place(config)}
Days: ${config.timezone}   API: ${url}/docs

Send an event:
  curl ${url}/analytics/event -H 'content-type: application/json'${keyHeader(config, 'write')} \\
    -d '${event}'
Read the days:
  curl ${url}/analytics/daily${keyHeader(config, 'read')}
`;
}

/** Which mode, and why. */
export function modeText({ warehouse, warehouseBecause }: Config): string {
  return `${warehouse === 'duckdb' ? 'embedded' : 'Google Cloud'}, because ${warehouseBecause}`;
}

function place(config: Config): string {
  const { warehouse, dataDirectory, google, journal } = config;
  if (warehouse === 'duckdb') return `Mode: ${modeText(config)}\nData: ${dataDirectory}`;
  const { projectId, dataset, table } = google.place;
  const behind = journal ? `, behind a journal in ${dataDirectory}` : '';
  return `Mode: ${modeText(config)}
Topic: projects/${google.projectId}/topics/${google.topic}${behind}   Table: ${projectId}.${dataset}.${table}`;
}

function keyHeader({ writeKeys, readKeys, keyHashes }: Config, access: Access): string {
  const keys = access === 'write' ? writeKeys : readKeys;
  if (keys.length + keyHashes[access].length === 0) return '';
  return ` \\\n    -H "authorization: Bearer $${access.toUpperCase()}_KEY"`;
}
