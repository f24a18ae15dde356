/*
 * Text from a file, a server or another person's name for something may hold what a terminal obeys: escapes that clear the
 * screen or set its title, and marks that show text in another order than it has.
 */

/** Control characters (C0, DEL, C1), line separators, and the marks that change the direction of text or hide in it. */
const UNPRINTABLE =
  // oxlint-disable-next-line no-control-regex -- those are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu;

/** Characters of one text that are printed. */
const LENGTH_MAX = 500;

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A text as one line for a terminal: what it would obey is shown as an escape, what is too long is cut. */
export function printable(text: string, lengthMax = LENGTH_MAX): string {
  const shown = text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text;
  return shown.replaceAll(UNPRINTABLE, escaped);
}

/** The same for a text of several lines, whole; for messages that are made here and quote something. */
export function printableLines(text: string): string {
  return text
    .split('\n')
    .map((line) => printable(line, Infinity))
    .join('\n');
}

/** JSON that says the same and that a terminal can be shown. JSON's own escapes stand for what it would obey. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(UNPRINTABLE, escaped);
}
