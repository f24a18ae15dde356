import { apiSchema, DEAD_LETTER_COLUMNS, EVENT_COLUMNS } from '../warehouse/bigquery/columns.ts';
import { DAILY_TABLE_COLUMNS, rewriteDailyTable } from '../warehouse/bigquery/daily-table.ts';
import { tableId } from '../warehouse/bigquery/names.ts';
import { versionView, viewDefinitions } from '../warehouse/bigquery/views.ts';

/** Names that Terraform fills in; `templatefile` reads `${...}`. */
const PLACE = { projectId: '${project}', dataset: '${dataset}', table: '${table}' };
const TIMEZONE = '${timezone}';

/**
 * The schemas of the tables and the statements of the views, for the Terraform module: the same that
 * `daybook gcp provision` uses. File name → text.
 */
export function terraformFiles(): ReadonlyMap<string, string> {
  const files = new Map([
    ['events.schema.json', json(apiSchema(EVENT_COLUMNS))],
    ['dead_letters_raw.schema.json', json(apiSchema(DEAD_LETTER_COLUMNS))],
    ['daily_table.schema.json', json(apiSchema(DAILY_TABLE_COLUMNS))],
    ['daily_table.sql', `${rewriteDailyTable(PLACE, TIMEZONE)}\n`],
  ]);
  for (const { name, sql } of [...viewDefinitions(PLACE, TIMEZONE), versionView(PLACE, TIMEZONE)]) {
    files.set(`${tableId({ ...PLACE, table: '' }, name).slice(1)}.sql`, `${sql}\n`);
  }
  return files;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
