import { requireNode } from './node-version.ts';

/* Starts the server. */

requireNode();
const { explainStart, start } = await import('./serve.ts');
start().catch((error: unknown) => process.exit(explainStart(error)));
