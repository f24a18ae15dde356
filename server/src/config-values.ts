import { z } from 'zod';

/* What a setting can be, and what is said when it is something else. The variable's name and what was given are added. */

export const MIB = 1_024 * 1_024;

/** Characters that a key must have. */
const KEY_CHARS_MIN = 16;

/** A whole number from the environment; digits only, so that "1e3" and "0x10" are faults. */
export function int(min: number, max: number) {
  const allowed = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d+$/, allowed)
    .transform(Number)
    .pipe(z.number(allowed).min(min, allowed).max(max, allowed));
}

/** One of some words. */
export function oneOf<const T extends readonly string[]>(words: T) {
  return z.enum(words, `must be one of ${words.join(', ')}`);
}

export const timezone = z.string().refine(isTimezone, 'must be an IANA timezone name, e.g. Europe/Helsinki');

export const date = z.iso.date('must be a date, YYYY-MM-DD');

/** A project's id may begin with an organisation's domain and a colon. */
const TABLE = /^(?:(?:((?:[a-z0-9.-]{1,60}:)?[a-z][a-z0-9-]{3,59})\.)?(\w{1,1024})\.)?([\w-]{1,200})$/;

export const tableName = z.string().regex(TABLE, 'must be project.dataset.table, dataset.table or table');

/** The parts of a table's name that are given. */
export function tablePlace(name = ''): { projectId?: string; dataset?: string; table?: string } {
  const [, projectId, dataset, table] = TABLE.exec(name) ?? [];
  return {
    ...(projectId === undefined ? {} : { projectId }),
    ...(dataset === undefined ? {} : { dataset }),
    ...(table === undefined ? {} : { table }),
  };
}

/** The items of a list, separated by commas. */
export function listItems(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

const list = z.string().transform(listItems);

/** What a header can carry unchanged: a client cannot send any other key. */
const KEY_CHARS = /^[\x21-\x7e]*$/;

export const keys = list.pipe(
  z.array(
    z
      .string()
      .min(KEY_CHARS_MIN, `each key must have at least ${KEY_CHARS_MIN} characters`)
      .regex(KEY_CHARS, 'each key must be of visible ASCII characters, from ! to ~, without spaces'),
  ),
);

export const origins = list.pipe(
  z.array(
    z.string().check(({ value, issues }) => {
      const written = asOrigin(value);
      const message =
        written === undefined
          ? 'must be origins, e.g. https://app.example, or *'
          : `must be origins as browsers send them, here ${written}`;
      if (written !== value) issues.push({ code: 'custom', input: value, message });
    }),
  ),
);

/** How a browser writes the origin of a URL: scheme, host and port. Undefined where the text is no URL. */
function asOrigin(text: string): string | undefined {
  if (text === '*') return text;
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#]/i.test(text)) return undefined;
  try {
    const { protocol, host, origin } = new URL(text);
    return origin === 'null' ? `${protocol}//${host}` : origin;
  } catch {
    return undefined;
  }
}

/** True for an IANA timezone name that this runtime knows. */
export function isTimezone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(name)) return false;
  try {
    return Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
