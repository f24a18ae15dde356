import type { ApiDocument } from './openapi.ts';
import { PROBLEMS } from './problems.ts';

/* The documentation as plain pages: no scripts, nothing from elsewhere, readable without internet. */

const STYLE = `
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent);--soft:color-mix(in srgb,currentColor 6%,transparent)}
body{font:16px/1.6 ui-sans-serif,system-ui,sans-serif;max-width:52rem;margin:0 auto;padding:2rem 1.25rem 6rem}
h1{font-size:2rem;margin:0}h2{margin:3rem 0 1rem;border-bottom:1px solid var(--line)}h3{margin:2.25rem 0 .5rem}
a{color:inherit}nav a{margin-right:1rem}code,pre{font:.875em/1.5 ui-monospace,monospace}
pre{background:var(--soft);padding:.9rem 1rem;border-radius:.5rem;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.925em}td,th{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}
.method{font:600 .8em ui-monospace,monospace;background:var(--soft);border-radius:.3rem;padding:.15rem .45rem;margin-right:.4rem}`;

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
    return `<h2 id="${tag}">${escape(tag)}</h2>${inside.map((entry) => operationSection(entry, document)).join('')}`;
  });
  const links = tags.map((tag) => `<a href="#${tag}">${escape(tag)}</a>`).join('');
  const { title, version, description } = document.info;
  return pageOf(
    `${title} API`,
    `<h1>${escape(title)} <small>${escape(version)}</small></h1><p>${escape(description)}</p>
<nav>${links}<a href="/docs/errors">Errors</a><a href="/openapi.json">OpenAPI</a></nav>${sections.join('')}
<h2 id="Event">The event</h2>${schemaTable(document.components.schemas['Event'] ?? {})}`,
  );
}

/** Every error, for people; each has the code as its anchor. */
export function errorsPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, { status, title, retryable, help }]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${escape(title)}. ${escape(help)}${
        retryable ? ' <em>Retryable.</em>' : ''
      }</td></tr>`,
  );
  return pageOf(
    'Daybook errors',
    `<h1>Errors</h1><p>Every error is <code>application/problem+json</code> (RFC 9457). Act on <code>code</code>; the
texts may change. Retryable answers carry <code>Retry-After</code>.</p>
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
  const rows = parameters.map(
    (parameter) => `<tr><td><code>${escape(parameter.name)}</code></td><td>${escape(parameter.in)}</td>
<td>${prose(parameter.description ?? '')}</td></tr>`,
  );
  return `<h3 id="${escape(method)}-${escape(path)}"><span class="method">${method.toUpperCase()}</span><code>${escape(path)}</code></h3>
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
  return `curl ${url} -H 'content-type: ${type}' \\\n  -d '${JSON.stringify(body?.example)}'`;
}

function responseBlock(
  status: string,
  { description, content }: Operation['responses'][string],
  document: ApiDocument,
): string {
  const json = content?.['application/json'];
  const example =
    json?.example === undefined ? '' : `<pre>${escape(JSON.stringify(json.example, null, 2))}</pre>`;
  const name = json?.schema?.$ref?.split('/').at(-1);
  const fields =
    name === undefined || !status.startsWith('2') ? '' : schemaTable(document.components.schemas[name] ?? {});
  return `<p><strong>${escape(status)}</strong> ${prose(description)}</p>${example}${fields}`;
}

interface Field {
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: { readonly properties?: Readonly<Record<string, Field>> };
}

function schemaTable(from: object): string {
  const { properties = {}, required = [] } = from as {
    properties?: Record<string, Field>;
    required?: readonly string[];
  };
  const rows = Object.entries(properties).flatMap(([name, field]) => [
    fieldRow(name, field, required.includes(name)),
    ...Object.entries(field.items?.properties ?? {}).map(([inner, of]) =>
      fieldRow(`${name}[].${inner}`, of, true),
    ),
  ]);
  return rows.length === 0 ? '' : `<table>${rows.join('')}</table>`;
}

function fieldRow(name: string, field: Field, required: boolean): string {
  const kind = field.const === undefined ? (field.type ?? '') : JSON.stringify(field.const);
  const size = field.maxLength === undefined ? '' : `, ${field.minLength ?? 0}–${field.maxLength} characters`;
  return `<tr><td><code>${escape(name)}</code></td><td>${escape(kind + size)}${required ? '' : ', optional'}</td>
<td>${prose(field.description ?? '')}</td></tr>`;
}

function pageOf(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><style>${STYLE}</style></head><body>${body}</body></html>`;
}

/** Text with \`code\` in it. */
function prose(text: string): string {
  return escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
