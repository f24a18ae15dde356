import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { EVENT_EXAMPLE } from '../event/schema.ts';
import { docsPage, errorsPage } from './docs-page.ts';
import { openApiDocument } from './openapi.ts';
import { PROBLEMS } from './problems.ts';
import { DAYS_MAX } from './wire.ts';

const document = openApiDocument('1.2.3');
const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } });

function* examples(node: unknown): Iterable<{ schema: object; example: unknown }> {
  if (typeof node !== 'object' || node === null) return;
  const { schema, example } = node as { schema?: object; example?: unknown };
  if (schema !== undefined && example !== undefined) yield { schema, example };
  for (const child of Object.values(node)) yield* examples(child);
}

describe('openApiDocument()', () => {
  it('has examples that its own schemas accept', () => {
    const found = [...examples(document.paths)];
    expect(found.length).toBeGreaterThan(6);
    for (const { schema, example } of found) {
      const validate = ajv.compile({ ...schema, components: document.components });
      expect(validate(example), JSON.stringify([example, validate.errors])).toBe(true);
    }
  });

  it('refuses what the event schema refuses', () => {
    const validate = ajv.compile(document.components.schemas['Event'] as object);
    expect(validate(EVENT_EXAMPLE)).toBe(true);
    expect(validate({ ...EVENT_EXAMPLE, extra: 1 })).toBe(false);
  });

  it('gives every operation an id of its own, a summary and answers', () => {
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(new Set(operations.map((operation) => operation['operationId'])).size).toBe(operations.length);
    for (const operation of operations) {
      expect(operation['summary']).toBeTruthy();
      expect(Object.keys(operation['responses'] as object).length).toBeGreaterThan(0);
    }
  });

  it('resolves every reference', () => {
    for (const [, name] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)) {
      expect(document.components.schemas).toHaveProperty(name!);
    }
  });
});

describe('docsPage()', () => {
  it('shows every route and loads nothing', () => {
    const html = docsPage(document);
    for (const path of Object.keys(document.paths)) expect(html).toContain(`<code>${path}</code>`);
    expect(html).not.toMatch(/<script|<link|src=|url\(/);
  });
});

describe('docsPage() tells', () => {
  const html = docsPage(document);
  const row = (name: string, from = 0) =>
    [
      ...html
        .slice(from)
        .matchAll(/<tr><td><code>([^<]*)<\/code><\/td><td>(.*?)<\/td><td>([^]*?)<\/td><\/tr>/g),
    ].find((match) => match[1] === name) ?? [];

  it('regression: what each parameter can be', () => {
    expect(row('Content-Encoding')[2]).toContain('<code>gzip</code> or <code>br</code> or <code>zstd</code>');
    expect(row('date_format')[2]).toContain('<code>iso</code> or <code>mdy</code> or <code>dmy</code>');
    expect(row('limit')[2]).toContain('integer, 1–1,000, default <code>100</code>');
    expect(row('to')[3]).toContain(`${DAYS_MAX.toLocaleString('en')} days`);
  });

  it('regression: the shape of errors, in a batch and in a problem', () => {
    expect(row('rejected[].errors')[2]).toBe('array of objects');
    for (const name of ['rejected[].errors[].pointer', 'rejected[].errors[].detail', 'errors[].pointer'])
      expect(row(name)[2], name).toBe('string');
    for (const name of Object.keys(document.components.schemas['Problem']!['properties'] as object))
      expect(row(name, html.indexOf('id="Problem"'))[3], name).toMatch(/./);
  });

  it('regression: the event first, and where everything is', () => {
    const at = (text: string) => html.indexOf(text);
    expect(at('id="Event"')).toBeGreaterThan(0);
    expect(at('id="Event"')).toBeLessThan(at('<code>/analytics/event</code>'));
    const links = [...html.slice(0, at('</nav>')).matchAll(/href="#(\w+)"/g)].map((match) => match[1]!);
    expect(links).toEqual(['Events', 'Event', 'Reports', 'Operation', 'Problem']);
    for (const id of links) expect(html).toContain(`id="${id}"`);
  });

  it('regression: a batch whose answer fits it', () => {
    const { requestBody, responses } = document.paths['/analytics/events']!['post'] as unknown as {
      requestBody: { content: Record<string, { example: unknown }> };
      responses: Record<string, { content: Record<string, { example: unknown }> }>;
    };
    const { content } = requestBody;
    const sent = content['application/json']!.example as object[];
    expect(responses['200']!.content['application/json']!.example).toEqual({ accepted: sent.length });
    expect((content['application/x-ndjson']!.example as string).trim().split('\n')).toHaveLength(sent.length);
  });
});

describe('errorsPage()', () => {
  it('has an anchor for every code', () => {
    for (const code of Object.keys(PROBLEMS)) expect(errorsPage()).toContain(`id="${code}"`);
  });
});
