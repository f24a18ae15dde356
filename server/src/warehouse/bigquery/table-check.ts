import type { TableMetadata } from './client.ts';
import type { Column } from './columns.ts';

/** Names of a type in BigQuery's API, by ours. */
const API_TYPES = {
  STRING: ['STRING'],
  INT64: ['INTEGER', 'INT64'],
  TIMESTAMP: ['TIMESTAMP'],
  DATE: ['DATE'],
  // A string holds the same text.
  JSON: ['JSON', 'STRING'],
} as const;

/** What has to be changed on a table, so that the subscription can write every event. */
export interface TableChanges {
  readonly missing: readonly Column[];
  /** Columns that not every event has, and that are REQUIRED. */
  readonly relaxed: readonly Column[];
}

/**
 * Compares a table that is there with the columns that messages have. "Any field that is not in the message must be NULLABLE":
 * else the subscription refuses the message, which becomes a dead letter after it was acknowledged to its sender.
 * https://cloud.google.com/pubsub/docs/bigquery#use-table-schema
 *
 * @throws Error when a column cannot hold what is written, or one of others wants what no event has
 */
export function tableChanges(
  table: string,
  { schema }: TableMetadata,
  columns: readonly Column[],
): TableChanges {
  const known = new Map(columns.map((column) => [column.name, column]));
  const present = new Map<string, string | undefined>();
  for (const { name = '', type = '', mode } of schema?.fields ?? []) {
    const column = known.get(name.toLowerCase());
    present.set(name.toLowerCase(), mode);
    if (column !== undefined && !(API_TYPES[column.type] as readonly string[]).includes(type))
      throw new Error(
        `${table}.${name} is ${type} and must be ${column.type}: use another table, or change the column`,
      );
    if (mode === 'REPEATED')
      throw new Error(
        `${table}.${name} is REPEATED, which no event can fill: use another table, or drop the column`,
      );
    if (mode === 'REQUIRED' && column === undefined)
      throw new Error(
        `${table}.${name} is REQUIRED, and no event has it: each would become a dead letter. ` +
          `ALTER TABLE … ALTER COLUMN ${name} DROP NOT NULL, or use another table`,
      );
  }
  return {
    missing: columns.filter(({ name }) => !present.has(name)),
    relaxed: columns.filter(({ name, required }) => required !== true && present.get(name) === 'REQUIRED'),
  };
}
