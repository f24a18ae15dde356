/*
 * JSON as bytes of valid UTF-8: where a piece of it ends. Nothing is parsed and no string is made. The functions never
 * read a value that `JSON.parse` would not read, apart from `stringEnd`, which only looks for the end.
 *
 * Loops that look bytes up in a table check the length first: after one read beyond the end V8 compiles them anew for whatever
 * may lie there, and they are five times slower until the process ends.
 */

export const NEWLINE = 10;
export const QUOTE = 34;
export const COMMA = 44;
export const COLON = 58;
export const OPEN_ARRAY = 91;
export const CLOSE_ARRAY = 93;
export const OPEN_OBJECT = 123;
export const CLOSE_OBJECT = 125;
export const BACKSLASH = 92;
const MINUS = 45;
export const DOT = 46;
export const ZERO = 48;
const NINE = 57;

/** 1 for the bytes that stand for themselves inside a string. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 32 || byte === QUOTE || byte === BACKSLASH ? 0 : 1,
);

const BLANK = new Uint8Array(256);
for (const byte of [9, 10, 13, 32]) BLANK[byte] = 1;

/** Where white space that begins here ends. */
export function blankEnd(bytes: Uint8Array, from: number): number {
  const { length } = bytes;
  let at = from;
  if (at < length && bytes[at]! > 32) return at;
  while (at < length && BLANK[bytes[at]!] === 1) at += 1;
  return at;
}

/** The closing quote of a string without escapes whose content begins here, or -1. */
export function plainStringEnd(bytes: Uint8Array, from: number): number {
  const { length } = bytes;
  let at = from;
  while (at < length && PLAIN[bytes[at]!] === 1) at += 1;
  return bytes[at] === QUOTE ? at : -1;
}

/** Where digits that begin here end. */
export function digitsEnd(bytes: Uint8Array, from: number): number {
  const { length } = bytes;
  let at = from;
  while (at < length && bytes[at]! >= ZERO && bytes[at]! <= NINE) at += 1;
  return at;
}

/** Decimal digits that a double always keeps. */
const EXACT_DIGITS = 15;

/**
 * Where a number ends that begins here and is written as `JSON.stringify` would write it, within ±(2^53 − 1); or -1.
 */
export function plainNumberEnd(bytes: Buffer, from: number): number {
  const first = bytes[from] === MINUS ? from + 1 : from;
  const whole = digitsEnd(bytes, first);
  const end = bytes[whole] === DOT ? digitsEnd(bytes, whole + 1) : whole;
  const next = bytes[end];
  // A character that may go on a number is left to the general way.
  if (next !== COMMA && next !== CLOSE_OBJECT && next !== CLOSE_ARRAY && blankEnd(bytes, end) === end)
    return -1;
  if (isPlainDecimal(bytes, { first, whole, end })) return end;
  const text = bytes.toString('latin1', from, end);
  const value = Number(text);
  return String(value) === text && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? end : -1;
}

/** True for what is surely the shortest text of its number: few digits, none of them at the ends a zero too many. */
function isPlainDecimal(
  bytes: Uint8Array,
  { first, whole, end }: { readonly first: number; readonly whole: number; readonly end: number },
): boolean {
  if (whole === first || end - first > EXACT_DIGITS) return false;
  const begin = bytes[first]!;
  if (whole === end) return begin !== ZERO;
  if (bytes[end - 1] === ZERO || end === whole + 1) return false;
  return begin !== ZERO || (whole === first + 1 && bytes[whole + 1] !== ZERO);
}

/** Where `true`, `false` or `null` ends that begins here, or -1. */
export function literalEnd(bytes: Uint8Array, from: number): number {
  if (bytes[from] === 116 && bytes[from + 1] === 114 && bytes[from + 2] === 117 && bytes[from + 3] === 101)
    return from + 4;
  if (bytes[from] === 110 && bytes[from + 1] === 117 && bytes[from + 2] === 108 && bytes[from + 3] === 108)
    return from + 4;
  if (bytes[from] !== 102 || bytes[from + 1] !== 97 || bytes[from + 2] !== 108) return -1;
  return bytes[from + 3] === 115 && bytes[from + 4] === 101 ? from + 5 : -1;
}

/** The closing quote of a string whose content begins here, or -1 when it has none; it may hold anything. */
export function stringEnd(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] === QUOTE) return at;
    if (bytes[at] === BACKSLASH) at += 1;
  }
  return -1;
}
