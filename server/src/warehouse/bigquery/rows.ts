import type { Row } from '../contract.ts';

/** How the client gives values that are none of JavaScript's: dates, times and, when asked for, whole numbers. */
interface Wrapped {
  readonly value: string;
  readonly type?: string;
}

/** Rows of the client as rows of the contract; whole numbers must have come wrapped. */
export function rowsOf(rows: readonly unknown[]): readonly Row[] {
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row as Record<string, unknown>).map(([name, value]) => [name, scalar(name, value)]),
    ),
  );
}

function scalar(name: string, value: unknown): Row[string] {
  if (value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)) {
    return value as Row[string];
  }
  if (isWrapped(value)) return value.type === 'BigQueryInt' ? wholeNumber(value.value) : value.value;
  throw new TypeError(
    `a report selected ${name} of a type that reports do not have: cast it in the statement`,
  );
}

function isWrapped(value: unknown): value is Wrapped {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Wrapped>).value === 'string';
}

function wholeNumber(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}
