/*
 * Spreadsheets run a cell that begins with one of = + - @, a tab or a carriage return as a formula. Events come from
 * anybody, so an export puts one ' in front of such a text, and of one that looks as if that had been done; an import takes
 * one away again. So every text comes back as it was. Our own numbers stay as they are.
 */

/** Texts that are exported with one ' more, as a regular expression that every engine reads. */
export const GUARDED_TEXT = String.raw`^'*[=+\-@\t\r]`;

const GUARDED_CELL = /^'+[=+\-@\t\r]/;

/** The text of a cell that `daybook export` wrote. */
export function fromCsvCell(cell: string): string {
  return GUARDED_CELL.test(cell) ? cell.slice(1) : cell;
}
