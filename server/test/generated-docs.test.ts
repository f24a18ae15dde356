import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { configurationMarkdown, errorsMarkdown } from '../src/cli/reference-docs.ts';
import { terraformFiles } from '../src/cli/terraform-files.ts';

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

describe('the generated documents are those of the sources (npm run docs)', () => {
  it('docs/errors.md', () => expect(read('errors.md')).toBe(errorsMarkdown()));
  it.each([...terraformFiles()])('deploy/terraform/generated/%s', (name, text) => {
    expect(readFileSync(new URL(`../../deploy/terraform/generated/${name}`, import.meta.url), 'utf8')).toBe(
      text,
    );
  });
  it('docs/configuration.md', () => expect(read('configuration.md')).toBe(configurationMarkdown()));
});
