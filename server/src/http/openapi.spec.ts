import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { EVENT_EXAMPLE } from '../event/schema.ts';
import { docsPage, errorsPage } from './docs-page.ts';
import { openApiDocument } from './openapi.ts';
import { PROBLEMS } from './problems.ts';

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

describe('errorsPage()', () => {
  it('has an anchor for every code', () => {
    for (const code of Object.keys(PROBLEMS)) expect(errorsPage()).toContain(`id="${code}"`);
  });
});
