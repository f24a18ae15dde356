import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { find, type Found } from './toolbox.ts';
import { installParsers, TOOLS, type ToolName } from './tools.ts';

declare module 'vitest' {
  interface ProvidedContext {
    tools: Record<ToolName, Found>;
  }
}

/** Installs what the checks need. On a developer's machine a missing tool skips its checks, in CI it is a failure. */
export default function setup(project: TestProject): void {
  if (timeOf('tools/node_modules/.package-lock.json') < timeOf('tools/package-lock.json')) installParsers();
  const names = Object.keys(TOOLS) as ToolName[];
  const found = names.map((name) => [name, find(TOOLS[name])] as const);
  const missing = found.filter(([, tool]) => tool.path === undefined).map(([, tool]) => tool.reason);
  for (const reason of missing) process.stderr.write(`deploy checks: SKIPPED ${reason}\n`);
  if (process.env['CI'] === 'true' && missing.length > 0) throw new Error(missing.join('\n'));
  project.provide('tools', Object.fromEntries(found) as Record<ToolName, Found>);
}

/** When a file was written; 0 when it is not there. */
function timeOf(file: string): number {
  return statSync(join(import.meta.dirname, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
