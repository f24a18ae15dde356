import { code, escape, prose } from './markup.ts';

/* JSON Schemas as tables of fields. */

/** A JSON Schema, as far as the documentation shows it. */
export interface Field {
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly default?: unknown;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly items?: Field;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly required?: readonly string[];
}

/** The fields of an object and of all objects in it, one row each; nothing where it has none. */
export function schemaTable(schema: Field): string {
  const rows = fieldRows(schema, '');
  return rows.length === 0 ? '' : `<table>${rows.join('')}</table>`;
}

function fieldRows({ properties = {}, required = [] }: Field, prefix: string): string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = prefix + name;
    const inner = field.items === undefined ? field : field.items;
    return [
      tableRow(path, [kind(field), required.includes(name) ? '' : 'optional'], field.description),
      ...fieldRows(inner, field.items === undefined ? `${path}.` : `${path}[].`),
    ];
  });
}

/** A row: a name, what it can be, what it means. */
export function tableRow(name: string, kinds: readonly string[], description = ''): string {
  const what = kinds.filter((text) => text !== '').join(', ');
  return `<tr><td>${code(name)}</td><td>${what}</td><td>${prose(description)}</td></tr>`;
}

/** What a value can be, as HTML: its type or its values, and its bounds. */
export function kind(field: Field): string {
  const { type = '', format, items } = field;
  const values = field.const === undefined ? field.enum : [field.const];
  if (values !== undefined)
    return values.map((value) => code(JSON.stringify(value).replaceAll('"', ''))).join(' or ');
  const of = type === 'array' && items?.type !== undefined ? ` of ${items.type}s` : '';
  const what = format === undefined ? escape(type + of) : escape(format);
  const usual = field.default === undefined ? '' : `default ${code(JSON.stringify(field.default))}`;
  return [what, ...bounds(field), usual].filter((text) => text !== '').join(', ');
}

function bounds({ minLength = 0, maxLength, minimum, maximum, maxItems }: Field): string[] {
  const number = (value: number) => value.toLocaleString('en');
  const found: string[] = [];
  if (maxLength !== undefined) found.push(`${minLength}–${number(maxLength)} characters`);
  if (maxItems !== undefined) found.push(`at most ${number(maxItems)}`);
  // Every whole number that JSON can carry is no bound that a reader needs.
  if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER)
    found.push(`${number(minimum ?? 0)}–${number(maximum)}`);
  return found;
}
