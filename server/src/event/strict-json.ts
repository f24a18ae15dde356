/*
 * JSON text that others wrote → value. The only place that gives such text to V8's parser, which has a fault
 * (nodejs/node#63785, docs/adr/0014): where an object is expected to go on with a known key, it compares that key with as
 * many characters of the text as the next key has once its escapes are read. After `{"k":1,"\\":2}` was parsed, or an
 * object was built with these keys in any other manner, `{"k":1,"\u00e9":2}` comes out with the key `\`. A key that is
 * written without an escape is compared rightly. So a text with an escape inside a key never reaches V8: the reader below
 * takes it. It also finds the place where a text stops being JSON, which V8 says for some faults only.
 */

/** A text that is no JSON. */
export class JsonSyntaxError extends SyntaxError {
  override readonly name = 'JsonSyntaxError';
  /** The first character that no JSON text can have there; the text's length where it only ends too early. */
  readonly at: number;

  constructor(at: number, length: number) {
    super(`not valid JSON at position ${at}${at === length ? ', where it ends' : ''}`);
    this.at = at;
  }
}

/** What `JSON.parse` should give. @throws JsonSyntaxError */
export function parseJson(text: string): unknown {
  if (hasEscapedKey(text)) return new StrictReader(text).read();
  try {
    return JSON.parse(text);
  } catch {
    return new StrictReader(text).read();
  }
}

/** The text of one string, quotes included. @throws SyntaxError */
export function parseJsonString(text: string): string {
  if (text[0] !== '"') throw new JsonSyntaxError(0, text.length);
  return JSON.parse(text) as string;
}

/** The same of a text that is known to have no escape inside a key. @throws SyntaxError */
export function parseUnescapedKeys(text: string): unknown {
  return JSON.parse(text);
}

/** The value of a JSON text by the reader that is not V8's, a fifth as fast. @throws JsonSyntaxError */
export function readStrictly(text: string): unknown {
  return new StrictReader(text).read();
}

const QUOTE = 34;
const COLON = 58;
const BACKSLASH = 92;

/** Only strings with an escape are looked at. The text may be no JSON: then V8 finds that out. */
function hasEscapedKey(text: string): boolean {
  for (let at = text.indexOf('\\'); at !== -1; at = text.indexOf('\\', at)) {
    for (let code = BACKSLASH; code !== QUOTE; code = text.charCodeAt(at)) {
      if (at >= text.length) return false;
      at += code === BACKSLASH ? 2 : 1;
    }
    at = matchEnd(SPACE, text, at + 1);
    if (text.charCodeAt(at) === COLON) return true;
  }
  return false;
}

const SPACE = /[ \t\n\r]*/y;
const SIMPLE_ESCAPES = '"\\/bfnrt';
const HEX4 = /[0-9a-fA-F]{4}/y;
const HEX_PART = /[0-9a-fA-F]{0,3}/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** How far a text goes that may become a number. */
const NUMBER_PART = /-?(?:(?:0|[1-9]\d*)(?:\.\d*)?(?:(?<=\d)[eE][+-]?\d*)?)?/y;
const WORDS: Readonly<Record<string, readonly [word: string, value: boolean | null]>> = {
  t: ['true', true],
  f: ['false', false],
  n: ['null', null],
};

/** An array or object whose end was not read yet. */
interface Open {
  readonly value: unknown[] | Record<string, unknown>;
  /** Of an object, the key whose value comes next. */
  key: string;
}

/** Reads one text as `JSON.parse` is specified, at any depth. */
class StrictReader {
  readonly #text: string;
  readonly #open: Open[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    for (;;) {
      let value = this.#value();
      if (value === OPENED) continue;
      for (;;) {
        const inside = this.#open.at(-1);
        if (inside === undefined) return this.#whole(value);
        add(inside, value);
        if (this.#more(inside)) break;
        this.#open.pop();
        value = inside.value;
      }
    }
  }

  /** The value that begins here, or `OPENED` where it is an array or object that has something in it. */
  #value(): unknown {
    const char = this.#next();
    if (char === '"') return this.#string();
    if (char === '{') return this.#opened({ value: {}, key: '' }, '}');
    if (char === '[') return this.#opened({ value: [], key: '' }, ']');
    return this.#scalar(char);
  }

  #opened(open: Open, closer: string): unknown {
    this.#at += 1;
    if (this.#next() === closer) {
      this.#at += 1;
      return open.value;
    }
    this.#open.push(open);
    if (closer === '}') open.key = this.#key();
    return OPENED;
  }

  /** After a value: true where another follows, false where the bracket closes. */
  #more(inside: Open): boolean {
    const isArray = Array.isArray(inside.value);
    const char = this.#next();
    if (char !== ',' && char !== (isArray ? ']' : '}')) this.#fail(this.#at);
    this.#at += 1;
    if (char !== ',') return false;
    if (!isArray) inside.key = this.#key();
    return true;
  }

  #key(): string {
    if (this.#next() !== '"') this.#fail(this.#at);
    const key = this.#string();
    if (this.#next() !== ':') this.#fail(this.#at);
    this.#at += 1;
    return key;
  }

  /** V8 reads a string alone rightly; here is found out where it ends. */
  #string(): string {
    const text = this.#text;
    const from = this.#at;
    let at = from + 1;
    let escaped = false;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(at)) {
      if (!(code >= 32)) this.#fail(at);
      if (code === BACKSLASH) {
        at = this.#escapeEnd(at + 1);
        escaped = true;
      } else {
        at += 1;
      }
    }
    this.#at = at + 1;
    return escaped ? (JSON.parse(text.slice(from, at + 1)) as string) : text.slice(from + 1, at);
  }

  /** Where an escape ends whose backslash stands before. */
  #escapeEnd(at: number): number {
    const char = this.#text[at];
    if (char !== 'u') {
      if (char === undefined || !SIMPLE_ESCAPES.includes(char)) this.#fail(at);
      return at + 1;
    }
    const end = matchEnd(HEX4, this.#text, at + 1);
    if (end === at + 1) this.#fail(matchEnd(HEX_PART, this.#text, end));
    return end;
  }

  #scalar(char: string): number | boolean | null {
    const text = this.#text;
    const from = this.#at;
    const [word, value] = WORDS[char] ?? ['', null];
    if (word !== '') {
      if (!text.startsWith(word, from)) this.#fail(word.startsWith(text.slice(from)) ? text.length : from);
      this.#at = from + word.length;
      return value;
    }
    const end = matchEnd(NUMBER, text, from);
    if (end === from || '.eE'.includes(text[end] ?? ' ')) this.#fail(matchEnd(NUMBER_PART, text, from));
    this.#at = end;
    return Number(text.slice(from, end));
  }

  #whole(value: unknown): unknown {
    if (this.#next() !== '') this.#fail(this.#at);
    return value;
  }

  /** The next character that is no white space; empty at the end. */
  #next(): string {
    this.#at = matchEnd(SPACE, this.#text, this.#at);
    return this.#text[this.#at] ?? '';
  }

  #fail(at: number): never {
    throw new JsonSyntaxError(at, this.#text.length);
  }
}

const OPENED = Symbol('opened');

/** The last value of a key counts, at the place of the first. */
function add({ value: container, key }: Open, value: unknown): void {
  if (Array.isArray(container)) container.push(value);
  else if (key !== '__proto__') container[key] = value;
  else Object.defineProperty(container, key, { value, enumerable: true, writable: true, configurable: true });
}

/** Where a match that begins at a place ends; the place itself where there is none. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
