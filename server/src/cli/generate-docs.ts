import { writeFileSync } from 'node:fs';
import { configurationMarkdown, errorsMarkdown } from './reference-docs.ts';

/* Writes the generated documents; `npm run docs`. */

const docs = new URL('../../../docs/', import.meta.url);
writeFileSync(new URL('errors.md', docs), errorsMarkdown());
writeFileSync(new URL('configuration.md', docs), configurationMarkdown());
