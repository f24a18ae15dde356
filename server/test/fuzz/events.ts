import type { Random } from '../faults/load.ts';

/*
 * Random events as JSON text: the same few keys and strings again and again, each time written in another manner, so that
 * what a parser remembers of one event meets the next.
 */

/** An event as it is sent. */
export interface SentText {
  readonly id: string;
  readonly text: string;
}

/** 2024-01-01; the events lie in the two days after it. */
const FIRST_S = 1_704_067_200;
const RANGE_S = 2 * 86_400;

/** One event in so many has something that may not be stored. */
const BAD_EACH = 60;

const KEYS = [
  'k',
  'a',
  'n',
  'u',
  'nX',
  'u0',
  'id',
  '7',
  '-1',
  '',
  'é',
  '\\',
  '\\n',
  '\\u0',
  '"',
  '\n',
  '\u2028',
  '😀',
  'ABC',
];
const CHARS = Array.from(
  'abnu09/ .,:{}[]\'"\\\b\f\n\r\t\u0001\u001f\u007f\u00a0é€\u2028\u2029\ufeff\uffff😀',
);
const BAD_CHARS = ['\u0000', '\ud800', '\udc00'];
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};
const LITERALS = ['true', 'false', 'null'];
const BAD_NUMBERS = ['9007199254740992', '-9007199254740993', '1e300', '1e400', '-1e17'];
const EDGE_NUMBERS = [
  '9007199254740991',
  '-9007199254740991.0',
  '5e-324',
  '-0',
  '0.0',
  '-0.0e5',
  '1e-7',
  '0.1',
];

export class EventTexts {
  readonly #random: Random;
  #count = 0;
  #bad = false;
  /** Whether the text must lie on one line. */
  #line = false;

  constructor(random: Random) {
    this.#random = random;
  }

  next(onLine: boolean): SentText {
    this.#line = onLine;
    this.#bad = this.#int(1, BAD_EACH) === 1;
    const id = `e${this.#count++}`;
    const members: [name: string, value: string][] = [
      ['type', this.#quoted('event')],
      ['event_name', this.#string(1, 10)],
      ['user_id', this.#string(1, 6)],
      ['session_id', this.#string(1, 6)],
      ['event_time', this.#time()],
      ['event_id', this.#quoted(id)],
    ];
    for (const name of ['page', 'country', 'region', 'city']) {
      if (this.#int(0, 3) === 0) members.push([name, this.#string(0, 12)]);
    }
    if (this.#int(0, 4) > 0) members.push(['properties', this.#object(1)]);
    if (this.#int(0, 9) === 0) this.#again(members);
    return { id, text: this.#blank() + this.#braces(members) + this.#blank() };
  }

  /** A field twice, the second time at the end: its last value counts. */
  #again(members: [string, string][]): void {
    members.push(['city', this.#string(1, 4)]);
    members.push(['city', this.#string(1, 4)]);
  }

  #braces(members: readonly (readonly [string, string])[]): string {
    const parts = members.map(
      ([name, value]) => `${this.#blank()}${this.#quoted(name)}${this.#blank()}:${this.#blank()}${value}`,
    );
    return `{${parts.join(`${this.#blank()},`)}${this.#blank()}}`;
  }

  #object(depth: number): string {
    const members = Array.from({ length: this.#int(0, 4) }, (): [string, string] => [
      this.#key(),
      this.#value(depth + 1),
    ]);
    // The keys of poison and canary: one that is everywhere the same, then one that is not.
    if (this.#int(0, 2) === 0) members.unshift(['k', this.#value(depth + 1)]);
    return this.#braces(members);
  }

  #key(): string {
    if (this.#bad && this.#int(0, 3) === 0)
      return ['__proto__', '\u0000', 'a\u0000', '\udc00'][this.#int(0, 3)]!;
    return this.#int(0, 3) === 0 ? this.#chars(0, 4) : KEYS[this.#int(0, KEYS.length - 1)]!;
  }

  #value(depth: number): string {
    const kind = this.#int(0, depth < 5 ? 9 : 7);
    if (kind < 4) return this.#string(0, 12);
    if (kind < 7) return this.#number();
    if (kind === 7) return LITERALS[this.#int(0, 2)]!;
    if (kind === 8) return this.#object(depth);
    const items = Array.from({ length: this.#int(0, 3) }, () => this.#value(depth + 1));
    return `[${this.#blank()}${items.join(`${this.#blank()},${this.#blank()}`)}${this.#blank()}]`;
  }

  #number(): string {
    if (this.#bad && this.#int(0, 3) === 0) return BAD_NUMBERS[this.#int(0, BAD_NUMBERS.length - 1)]!;
    const whole = this.#int(-1_000_000, 1_000_000) || 7;
    const choices = [
      String(whole),
      `${whole}.0`,
      `${whole}e0`,
      `${whole}0E-1`,
      `${whole}e+${this.#int(0, 9)}`,
      `${whole}.${this.#int(0, 999_999)}`,
      `${whole}.${this.#int(0, 9)}e-${this.#int(0, 20)}`,
      JSON.stringify((this.#random.next() - 0.5) * 10 ** this.#int(-12, 12)),
      EDGE_NUMBERS[this.#int(0, EDGE_NUMBERS.length - 1)]!,
    ];
    return choices[this.#int(0, choices.length - 1)]!;
  }

  #time(): string {
    const seconds = FIRST_S + this.#int(0, RANGE_S - 1);
    const fraction = String(this.#int(0, 999_999)).padStart(6, '0');
    const choices = [
      String(seconds),
      `${seconds}.${fraction}`,
      `${seconds}.${fraction.slice(0, 3)}`,
      `${seconds}000e-3`,
      `${String(seconds)[0]}.${String(seconds).slice(1)}E9`,
      `${seconds}.0`,
    ];
    return choices[this.#int(0, choices.length - 1)]!;
  }

  #string(min: number, max: number): string {
    return this.#quoted(this.#chars(min, max));
  }

  #chars(min: number, max: number): string {
    const plain = this.#int(0, 2) === 0;
    let text = '';
    for (let left = this.#int(min, max); left > 0; left -= 1)
      text += CHARS[this.#int(0, plain ? 5 : CHARS.length - 1)]!;
    if (this.#bad && this.#int(0, 3) === 0) text += BAD_CHARS[this.#int(0, 2)]!;
    return text;
  }

  /** Each character as it stands, where it may, or as one of its escapes. */
  #quoted(text: string): string {
    const style = this.#int(0, 3);
    let out = '';
    for (const char of text) {
      const raw = SHORT[char] === undefined || char === '/' ? char >= ' ' && char.isWellFormed() : false;
      if (raw && (style < 2 || this.#int(0, 2) > 0)) out += char;
      else if (SHORT[char] !== undefined && this.#int(0, 2) > 0) out += SHORT[char];
      else out += this.#hex(char);
    }
    return `"${out}"`;
  }

  #hex(char: string): string {
    let out = '';
    for (let at = 0; at < char.length; at += 1) {
      const hex = char.charCodeAt(at).toString(16).padStart(4, '0');
      out += `\\u${this.#int(0, 1) === 0 ? hex : hex.toUpperCase()}`;
    }
    return out;
  }

  #blank(): string {
    if (this.#int(0, 7) > 0) return '';
    return [' ', '\t', '  ', this.#line ? '\r' : '\n', this.#line ? '\t' : '\r\n'][this.#int(0, 4)]!;
  }

  #int(min: number, max: number): number {
    return this.#random.int(min, max);
  }
}
