/** A column of a BigQuery table. `required` holds on tables that Daybook makes; one added to a table in use is NULLABLE. */
export interface Column {
  readonly name: string;
  readonly type: 'STRING' | 'INT64' | 'TIMESTAMP' | 'DATE' | 'JSON';
  readonly required?: true;
  readonly description: string;
}

/**
 * The table that the subscription writes: one row a delivered event, so a row may stand twice. The first nine columns
 * are those of the table that teams have from the days of publishing by hand, with the same names and types; such a
 * table is extended in place by the others.
 */
export const EVENT_COLUMNS: readonly Column[] = [
  { name: 'type', type: 'STRING', required: true, description: 'Always "event".' },
  { name: 'session_id', type: 'STRING', required: true, description: 'The session.' },
  { name: 'event_name', type: 'STRING', required: true, description: 'What happened.' },
  {
    name: 'event_time',
    type: 'INT64',
    required: true,
    description: 'When it happened, in whole unix seconds (rounded down).',
  },
  { name: 'page', type: 'STRING', description: 'The page or screen.' },
  { name: 'country', type: 'STRING', description: 'Country.' },
  { name: 'region', type: 'STRING', description: 'Region.' },
  { name: 'city', type: 'STRING', description: 'City.' },
  { name: 'user_id', type: 'STRING', required: true, description: 'Who did it.' },
  {
    name: 'event_id',
    type: 'STRING',
    required: true,
    description: 'The same for every delivery of an event.',
  },
  {
    name: 'event_timestamp',
    type: 'TIMESTAMP',
    required: true,
    description: 'When it happened, to the microsecond. NULL in older rows: event_time says it then.',
  },
  { name: 'received_at', type: 'TIMESTAMP', required: true, description: 'When Daybook took it in.' },
  {
    name: 'project',
    type: 'STRING',
    required: true,
    description: 'The project. NULL in older rows: default.',
  },
  { name: 'properties', type: 'JSON', description: 'Anything else.' },
];

/** The table where the subscription of the dead-letter topic lands: the columns of `write_metadata`, and the body. */
export const DEAD_LETTER_COLUMNS: readonly Column[] = [
  { name: 'subscription_name', type: 'STRING', description: 'The subscription that wrote the row.' },
  { name: 'message_id', type: 'STRING', description: 'The message.' },
  { name: 'publish_time', type: 'TIMESTAMP', description: 'When it became a dead letter.' },
  { name: 'data', type: 'STRING', description: 'The message as it was published.' },
  { name: 'attributes', type: 'JSON', description: 'Why and where from; see the view of dead letters.' },
];

/** Columns as the schema of BigQuery's API. */
export function apiSchema(columns: readonly Column[]): readonly Record<string, string>[] {
  return columns.map(({ name, type, required, description }) => ({
    name,
    type: type === 'INT64' ? 'INTEGER' : type,
    mode: required === true ? 'REQUIRED' : 'NULLABLE',
    description,
  }));
}
