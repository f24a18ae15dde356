#!/usr/bin/env node
import { requireNode } from '../node-version.ts';

/* Starts the command. */

requireNode();
const { main } = await import('./commands.ts');
await main();
