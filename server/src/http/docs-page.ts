import { code, escape, prose } from './markup.ts';
import type { ApiDocument } from './openapi.ts';
import { PROBLEMS } from './problems.ts';
import { type Field, kind, schemaTable, tableRow } from './schema-table.ts';

/* The documentation as plain pages: no scripts, nothing from elsewhere, readable without internet. */

/** On a narrow page a row of a table becomes a paragraph, so that nothing is wider than the page. */
const STYLE = `
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent);--soft:color-mix(in srgb,currentColor 6%,transparent)}
body{font:16px/1.6 ui-sans-serif,system-ui,sans-serif;max-width:52rem;margin:0 auto;padding:2rem 1.25rem 6rem;overflow-wrap:anywhere}
h1{font-size:2rem;margin:0}h2{margin:3rem 0 1rem;border-bottom:1px solid var(--line)}h3{margin:2.25rem 0 .5rem}
a{color:inherit}nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem}code,pre{font:.875em/1.5 ui-monospace,monospace}
pre{background:var(--soft);padding:.9rem 1rem;border-radius:.5rem;white-space:pre-wrap}
table{border-collapse:collapse;width:100%;font-size:.925em}td,th{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}
td:nth-child(2){min-width:8rem}td:last-child{width:50%}
.method{font:600 .8em ui-monospace,monospace;background:var(--soft);border-radius:.3rem;padding:.15rem .45rem;margin-right:.4rem}
@media(max-width:44rem){table,tbody{display:block}tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}th{display:none}
td,td:last-child{display:inline;border:0;padding:0 .5rem 0 0}td:last-child{display:block;padding:0;width:auto}}`;

/** The API for people. */
export function docsPage(document: ApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method,
      operation: operation as unknown as Operation,
    })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  const sections = tags.map((tag) => {
    const inside = operations.filter(({ operation }) => operation.tags.includes(tag));
    const entries = inside.map((entry) => operationSection(entry, document)).join('');
    return `<h2 id="${tag}">${escape(tag)}</h2>${tag === 'Events' ? eventSection(document) : ''}${entries}`;
  });
  const links = tags.map((tag) => `<a href="#${tag}">${escape(tag)}</a>`);
  links.splice(1, 0, '<a href="#Event">The event</a>');
  const { title, version, description } = document.info;
  return pageOf(
    `${title} API`,
    `<h1>${escape(title)} <small>${escape(version)}</small></h1><p>${prose(description)}</p>
<nav>${links.join('')}<a href="#Problem">Problems</a><a href="/docs/errors">Errors</a><a href="/openapi.json">OpenAPI</a></nav>
${sections.join('')}${problemSection(document)}`,
  );
}

function eventSection({ components }: ApiDocument): string {
  return `<h3 id="Event">The event</h3>${schemaTable(components.schemas['Event'] ?? {})}`;
}

function problemSection({ components }: ApiDocument): string {
  const schema = components.schemas['Problem'] as Field & { readonly examples?: readonly unknown[] };
  return `<h2 id="Problem">Problems</h2><p>Every error is a document of this shape,
<code>application/problem+json</code>. Act on <code>code</code>: <a href="/docs/errors">all codes</a>.</p>
<pre>${json(schema.examples?.[0])}</pre>${schemaTable(schema)}`;
}

/** Every error, for people; each has the code as its anchor. */
export function errorsPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([name, { status, title, retryable, help }]) =>
      `<tr id="${name}"><td><code>${name}</code></td><td>${status}</td><td>${escape(title)}. ${escape(help)}${
        retryable ? ' <em>Retryable.</em>' : ''
      }</td></tr>`,
  );
  return pageOf(
    'Daybook errors',
    `<h1>Errors</h1><p>Every error is <code>application/problem+json</code> (RFC 9457), a document of
<a href="/docs#Problem">this shape</a>. Act on <code>code</code>; the texts may change. Retryable answers carry
<code>Retry-After</code>.</p>
<table><tr><th>code</th><th>status</th><th>what to do</th></tr>${rows.join('')}</table><p><a href="/docs">API</a></p>`,
  );
}

interface Operation {
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly description?: string;
  readonly schema: Field;
}

type Content = Readonly<
  Record<string, { readonly example?: unknown; readonly schema?: { readonly $ref?: string } }>
>;

interface Entry {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

function operationSection({ path, method, operation }: Entry, document: ApiDocument): string {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const rows = parameters.map(({ name, in: place, schema, description: what }) =>
    tableRow(name, [kind(schema), place], what),
  );
  return `<h3 id="${escape(method)}-${escape(path)}"><span class="method">${method.toUpperCase()}</span>${code(path)}</h3>
<p><strong>${escape(summary)}.</strong> ${prose(description ?? '')}</p>
${rows.length === 0 ? '' : `<table>${rows.join('')}</table>`}
<pre>${escape(curl(path, requestBody?.content))}</pre>${Object.entries(responses)
    .map(([status, response]) => responseBlock(status, response, document))
    .join('')}`;
}

function curl(path: string, content: Content | undefined): string {
  const url = `http://127.0.0.1:3000${path}`;
  const [type, body] = Object.entries(content ?? {})[0] ?? [];
  if (type === undefined) return `curl ${url}`;
  return `curl ${url} -H 'content-type: ${type}' -d '${JSON.stringify(body?.example, null, 2)}'`;
}

function responseBlock(
  status: string,
  { description, content }: Operation['responses'][string],
  document: ApiDocument,
): string {
  const body = content?.['application/json'];
  const example = body?.example === undefined ? '' : `<pre>${json(body.example)}</pre>`;
  const name = body?.schema?.$ref?.split('/').at(-1);
  const fields =
    name === undefined || !status.startsWith('2') ? '' : schemaTable(document.components.schemas[name] ?? {});
  return `<p><strong>${escape(status)}</strong> ${prose(description)}</p>${example}${fields}`;
}

function json(value: unknown): string {
  return escape(JSON.stringify(value, null, 2));
}

function pageOf(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><style>${STYLE}</style></head><body>${body}</body></html>`;
}
