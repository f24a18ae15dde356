/*
 * TEST STAND-IN, not Google's code: how a BigQuery subscription turns a message into a row, by its documentation
 * (https://cloud.google.com/pubsub/docs/bigquery). No emulator delivers from Pub/Sub into BigQuery.
 */

export interface Message {
  readonly messageId: string;
  readonly data: string;
  /** RFC 3339 */
  readonly publishTime: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A column as `tables.get` lists it. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly mode?: string | undefined;
}

export interface MappingOptions {
  /** The message is a flat JSON object whose keys are the columns; else its data goes to the column `data`. */
  readonly useTableSchema: boolean;
  /** Adds subscription_name, message_id, publish_time and attributes. @default false */
  readonly writeMetadata?: boolean;
  /** Unknown keys vanish instead of refusing the message. @default false */
  readonly dropUnknownFields?: boolean;
  /** projects/P/subscriptions/S, for `subscription_name`. */
  readonly subscription?: string;
}

/** A value as `tabledata.insertAll` takes it. */
export type Cell = string | number | boolean | null | readonly Cell[];
export type Mapped = { readonly row: Readonly<Record<string, Cell>> } | { readonly refused: string };

class Refused extends Error {}

/** Maps a message to the row that the subscription would write, or to the reason why it writes none. */
export function mapMessage(message: Message, schema: readonly Column[], options: MappingOptions): Mapped {
  try {
    const fields = { ...fieldsOf(message, options), ...metadataOf(message, options) };
    return { row: rowOf(fields, schema, options) };
  } catch (error) {
    if (error instanceof Refused) return { refused: error.message };
    throw error;
  }
}

function fieldsOf({ data }: Message, { useTableSchema }: MappingOptions): Record<string, unknown> {
  if (!useTableSchema) return { data };
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new Refused('the message is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refused('the message is not a JSON object');
  }
  return value as Record<string, unknown>;
}

function metadataOf(
  message: Message,
  { writeMetadata, subscription }: MappingOptions,
): Record<string, unknown> {
  if (writeMetadata !== true) return {};
  return {
    subscription_name: subscription ?? '',
    message_id: message.messageId,
    publish_time: message.publishTime,
    attributes: JSON.stringify(message.attributes),
  };
}

function rowOf(
  fields: Readonly<Record<string, unknown>>,
  schema: readonly Column[],
  { dropUnknownFields = false }: MappingOptions,
): Record<string, Cell> {
  const names = new Set(schema.map(({ name }) => name));
  const unknown = Object.keys(fields).filter((key) => !names.has(key));
  if (unknown.length > 0 && !dropUnknownFields) throw new Refused(`unknown field: ${unknown.join(', ')}`);
  const row: Record<string, Cell> = {};
  for (const column of schema) {
    const value = fields[column.name] ?? null;
    if (value === null && column.mode === 'REQUIRED')
      throw new Refused(`missing required field: ${column.name}`);
    if (value !== null)
      row[column.name] = column.mode === 'REPEATED' ? listOf(value, column) : cellOf(value, column);
  }
  return row;
}

function listOf(value: unknown, column: Column): Cell[] {
  if (!Array.isArray(value)) throw wrong(column, 'needs an array');
  return value.map((element: unknown) => cellOf(element, column));
}

function wrong({ name, type }: Column, what: string): Refused {
  return new Refused(`${name} (${type}) ${what}`);
}

/** One value by its column's type. Strings of numbers are taken, as the Storage Write API does for JSON. */
function cellOf(value: unknown, column: Column): Cell {
  if (typeof value === 'object')
    throw wrong(column, 'does not take an object, an array or null: the message is flat');
  switch (column.type) {
    case 'STRING':
      if (typeof value !== 'string') throw wrong(column, 'needs a string');
      return value;
    case 'BYTES':
      if (typeof value !== 'string') throw wrong(column, 'needs a string');
      return Buffer.from(value).toString('base64');
    case 'INTEGER':
    case 'INT64':
      return integerOf(value, column);
    case 'FLOAT':
    case 'FLOAT64':
    case 'NUMERIC':
      return numberOf(value, column);
    case 'BOOLEAN':
    case 'BOOL':
      if (typeof value !== 'boolean') throw wrong(column, 'needs true or false');
      return value;
    case 'TIMESTAMP':
      return timestampOf(value, column);
    case 'DATE':
      if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(value))
        throw wrong(column, 'needs YYYY-MM-DD');
      return value;
    case 'JSON':
      return jsonOf(value, column);
    default:
      throw wrong(column, 'is a type that this stand-in does not know');
  }
}

function integerOf(value: unknown, column: Column): string {
  const text = typeof value === 'number' && Number.isInteger(value) ? BigInt(value).toString() : value;
  if (typeof text !== 'string' || !/^-?\d{1,19}$/.test(text)) throw wrong(column, 'needs an integer');
  if (BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) throw wrong(column, 'is out of range');
  return text;
}

function numberOf(value: unknown, column: Column): number | string {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '' || Number.isNaN(Number(value)))
    throw wrong(column, 'needs a number');
  return value;
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})$/i;
const MICROS = 1_000_000n;

/** A JSON number means microseconds since 1970, a string is RFC 3339. Unix seconds land in January 1970. */
function timestampOf(value: unknown, column: Column): string {
  if (typeof value === 'number' && Number.isInteger(value)) {
    const micros = BigInt(value);
    const rest = ((micros % MICROS) + MICROS) % MICROS;
    const seconds = new Date(Number((micros - rest) / MICROS) * 1_000).toISOString().slice(0, 19);
    return `${seconds}.${rest.toString().padStart(6, '0')}Z`;
  }
  if (typeof value === 'string' && RFC3339.test(value) && !Number.isNaN(Date.parse(value))) return value;
  throw wrong(column, 'needs RFC 3339 or a whole number of microseconds');
}

function jsonOf(value: unknown, column: Column): string {
  if (typeof value !== 'string') throw wrong(column, 'needs a string of escaped JSON');
  try {
    JSON.parse(value);
  } catch {
    throw wrong(column, 'is not valid JSON');
  }
  return value;
}
