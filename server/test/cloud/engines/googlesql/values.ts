/** A GoogleSQL type that the wrapper carries. */
export type SqlType =
  'STRING' | 'INT64' | 'FLOAT64' | 'BOOL' | 'TIMESTAMP' | 'DATE' | 'JSON' | 'ARRAY<STRING>';

/** A value outside: TIMESTAMP as RFC 3339 in UTC, DATE as YYYY-MM-DD, INT64 as number, JSON as its text. */
export type SqlValue =
  string | number | boolean | null | readonly SqlValue[] | { readonly [field: string]: SqlValue };

/** zetasql/public/type.proto, as the loader shows it. */
export interface TypeMessage {
  readonly typeKind: string;
  readonly arrayType?: { readonly elementType: TypeMessage };
  readonly structType?: {
    readonly field: readonly { readonly fieldName?: string; readonly fieldType: TypeMessage }[];
  };
}

/** zetasql/public/value.proto: the one field that is set; none is NULL. */
export interface ValueMessage {
  readonly stringValue?: string;
  readonly int64Value?: string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly dateValue?: number;
  readonly jsonValue?: string;
  readonly timestampValue?: { readonly seconds?: string; readonly nanos?: number };
  readonly arrayValue?: { readonly element?: readonly ValueMessage[] };
  readonly structValue?: { readonly field?: readonly ValueMessage[] };
}

const DAY_MS = 86_400_000;

export function typeMessage(type: SqlType): TypeMessage {
  if (type === 'ARRAY<STRING>')
    return { typeKind: 'TYPE_ARRAY', arrayType: { elementType: typeMessage('STRING') } };
  return { typeKind: type === 'FLOAT64' ? 'TYPE_DOUBLE' : `TYPE_${type}` };
}

/** How a value travels, by its type. */
const WRITERS: Record<SqlType, (value: SqlValue) => ValueMessage> = {
  STRING: (value) => ({ stringValue: textOf(value) }),
  INT64: (value) => ({ int64Value: textOf(value) }),
  FLOAT64: (value) => ({ doubleValue: Number(value) }),
  BOOL: (value) => ({ boolValue: value === true }),
  JSON: (value) => ({ jsonValue: textOf(value) }),
  DATE: (value) => ({ dateValue: Date.parse(textOf(value)) / DAY_MS }),
  TIMESTAMP: (value) => ({ timestampValue: timestampMessage(textOf(value)) }),
  'ARRAY<STRING>': (value) => ({
    arrayValue: { element: (value as readonly SqlValue[]).map((item) => ({ stringValue: textOf(item) })) },
  }),
};

export function valueMessage(value: SqlValue, type: SqlType): ValueMessage {
  return value === null ? {} : WRITERS[type](value);
}

function textOf(value: SqlValue): string {
  if (typeof value === 'object') throw new Error(`not a plain value: ${JSON.stringify(value)}`);
  return String(value);
}

/** RFC 3339 to seconds and nanoseconds, with the digits that `Date` drops. */
function timestampMessage(text: string): { seconds: string; nanos: number } {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  const seconds = Date.parse(text.replace(/\.\d+/, '')) / 1_000;
  if (Number.isNaN(seconds)) throw new Error(`not a timestamp: ${text}`);
  return { seconds: String(seconds), nanos: Number(fraction.padEnd(9, '0').slice(0, 9)) };
}

export function valueOf(message: ValueMessage | undefined, type: TypeMessage): SqlValue {
  if (message === undefined) return null;
  if (message.stringValue !== undefined) return message.stringValue;
  if (message.int64Value !== undefined) return Number(message.int64Value);
  if (message.doubleValue !== undefined) return message.doubleValue;
  if (message.boolValue !== undefined) return message.boolValue;
  if (message.jsonValue !== undefined) return message.jsonValue;
  if (message.dateValue !== undefined) return new Date(message.dateValue * DAY_MS).toISOString().slice(0, 10);
  if (message.timestampValue !== undefined) return timestampText(message.timestampValue);
  if (message.arrayValue !== undefined) {
    return (message.arrayValue.element ?? []).map((element) => valueOf(element, type.arrayType!.elementType));
  }
  if (message.structValue !== undefined) {
    const { field = [] } = message.structValue;
    const pairs = type.structType!.field.map(
      (named, index) => [named.fieldName ?? `_${index}`, valueOf(field[index], named.fieldType)] as const,
    );
    return Object.fromEntries(pairs);
  }
  const unknown = Object.keys(message).filter((key) => key !== 'value');
  if (unknown.length > 0)
    throw new Error(`the wrapper does not read ${unknown.join(', ')} (${type.typeKind})`);
  return null;
}

function timestampText({ seconds = '0', nanos = 0 }: { seconds?: string; nanos?: number }): string {
  const whole = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);
  return `${whole}.${String(Math.floor(nanos / 1_000)).padStart(6, '0')}Z`;
}
