import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { configurationMarkdown, errorsMarkdown } from '../src/cli/reference-docs.ts';

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

describe('the generated documents are those of the sources (npm run docs)', () => {
  it('docs/errors.md', () => expect(read('errors.md')).toBe(errorsMarkdown()));
  it('docs/configuration.md', () => expect(read('configuration.md')).toBe(configurationMarkdown()));
});
