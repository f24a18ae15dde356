import { parseJsonString } from '../event/strict-json.ts';

/** The text of a JSON object without the members of these names; all else of it stays as it is. */
export function withoutFields(text: string, names: ReadonlySet<string>): string {
  const members = membersOf(text).filter(({ name }) => !names.has(name));
  return `{${members.map(({ from, to }) => text.slice(from, to)).join(',')}}`;
}

interface Member {
  readonly name: string;
  readonly from: number;
  /** Where its value ends. */
  readonly to: number;
}

/** The members of an object whose text is known to be JSON, in their order. */
function membersOf(text: string): Member[] {
  const members: Member[] = [];
  let at = text.indexOf('{') + 1;
  for (;;) {
    const from = spaceEnd(text, at);
    if (text[from] !== '"') return members;
    const keyEnd = stringEnd(text, from);
    const to = valueEnd(text, text.indexOf(':', keyEnd) + 1);
    members.push({ name: parseJsonString(text.slice(from, keyEnd)), from, to });
    at = spaceEnd(text, to);
    if (text[at] !== ',') return members;
    at += 1;
  }
}

function spaceEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text[at]!)) at += 1;
  return at;
}

/** Behind the closing quote of the string that begins here. */
function stringEnd(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The comma or brace of the object that follows the value. */
function valueEnd(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const char = text[at]!;
    if (char === '"') {
      at = stringEnd(text, at);
      continue;
    }
    if (depth === 0 && (char === ',' || char === '}')) return at;
    if (char === '{' || char === '[') depth += 1;
    if (char === '}' || char === ']') depth -= 1;
    at += 1;
  }
  return at;
}
