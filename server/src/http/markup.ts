import { PROBLEMS } from './problems.ts';

/* Text as HTML. */

export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

export function code(text: string): string {
  return `<code>${escape(text)}</code>`;
}

/** Text with \`code\` in it; the code of a problem links to it. */
export function prose(text: string): string {
  return text
    .split('`')
    .map((part, index) => (index % 2 === 0 ? escape(part) : problemLink(part)))
    .join('');
}

function problemLink(text: string): string {
  return Object.hasOwn(PROBLEMS, text) ? `<a href="/docs/errors#${text}">${code(text)}</a>` : code(text);
}
