/* Where a text stops being JSON. V8 says it for most faults and not for the commonest, a character that begins no value. */

/** What may come next; `first` and `firstKey` follow a bracket that may close at once. */
type Next = 'value' | 'first' | 'key' | 'firstKey' | 'colon' | 'more';

const SPACE = /[ \t\n\r]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** The place of the first character that no JSON text can have there; the text's length where it only ends too early. */
export function jsonFaultAt(text: string): number {
  /** The brackets that close those which are open. */
  const closers: string[] = [];
  let next: Next = 'value';
  for (let at = end(SPACE, text, 0); at < text.length; at = end(SPACE, text, at)) {
    const char = text[at]!;
    const closes: boolean = char === closers.at(-1) && ['more', 'first', 'firstKey'].includes(next);
    const step: Step = closes ? { next: 'more', end: at + 1 } : stepOver(text, at, next, closers);
    if (step.fault === true) return step.end;
    if (closes) closers.pop();
    if (step.opens !== undefined) closers.push(step.opens);
    next = step.next;
    at = step.end;
  }
  return text.length;
}

/** Over one character, string, word or number: where it ends, what may come then, which bracket it opened. */
interface Step {
  readonly next: Next;
  readonly end: number;
  readonly opens?: '}' | ']';
  /** It may not stand there, from its end on. */
  readonly fault?: true;
}

function stepOver(text: string, at: number, next: Next, closers: readonly string[]): Step {
  const char = text[at];
  const fault: Step = { next, end: at, fault: true };
  if (next === 'colon') return char === ':' ? { next: 'value', end: at + 1 } : fault;
  if (next === 'more') {
    if (char !== ',' || closers.length === 0) return fault;
    return { next: closers.at(-1) === '}' ? 'key' : 'value', end: at + 1 };
  }
  const key = next === 'key' || next === 'firstKey';
  if (char === '"') return stepOverString(text, at, key ? 'colon' : 'more');
  if (key) return fault;
  if (char === '{') return { next: 'firstKey', end: at + 1, opens: '}' };
  if (char === '[') return { next: 'first', end: at + 1, opens: ']' };
  const scalarEnd = end(SCALAR, text, at);
  return scalarEnd === at ? fault : { next: 'more', end: scalarEnd };
}

function stepOverString(text: string, from: number, next: Next): Step {
  for (let at = from + 1; at < text.length; at += 1) {
    const char = text[at]!;
    if (char === '"') return { next, end: at + 1 };
    if (char < ' ') return { next, end: at, fault: true };
    if (char === '\\') {
      const escapeEnd = end(ESCAPE, text, at);
      if (escapeEnd === at) return { next, end: at + 1, fault: true };
      at = escapeEnd - 1;
    }
  }
  return { next, end: text.length };
}

/** Where a match that begins at a place ends; the place itself where there is none. */
function end(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
