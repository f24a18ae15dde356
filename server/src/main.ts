import { requireNode } from './node-version.ts';

/* Starts the server. */

requireNode();
const { explainStart, serve } = await import('./serve.ts');
serve().catch((error: unknown) => process.exit(explainStart(error)));
