import { mkdirSync, writeFileSync } from 'node:fs';
import { configurationMarkdown, errorsMarkdown } from './reference-docs.ts';
import { terraformFiles } from './terraform-files.ts';

/* Writes the generated documents; `npm run docs`. */

const docs = new URL('../../../docs/', import.meta.url);
writeFileSync(new URL('errors.md', docs), errorsMarkdown());
writeFileSync(new URL('configuration.md', docs), configurationMarkdown());
const terraform = new URL('../../../deploy/terraform/generated/', import.meta.url);
mkdirSync(terraform, { recursive: true });
for (const [name, text] of terraformFiles()) writeFileSync(new URL(name, terraform), text);
