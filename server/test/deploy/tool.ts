import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, inject } from 'vitest';
import type { ToolName } from './tools.ts';

/** The repository's root. */
export const ROOT = resolve(import.meta.dirname, '../../..');

export const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** What a program said, and how it ended. */
export interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

/** The folder of an installed tool. */
export function folder(name: ToolName): string {
  const { path, reason } = inject('tools')[name];
  if (path === undefined) throw new Error(reason);
  return path;
}

/** Runs a program of an installed tool from the repository's root. */
export function tool(
  name: ToolName,
  args: readonly string[],
  options: { program?: string; input?: string; env?: NodeJS.ProcessEnv } = {},
): Outcome {
  const program = join(folder(name), options.program ?? name);
  const result = spawnSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    input: options.input ?? '',
    env: { ...process.env, ...options.env },
  });
  if (result.error) throw result.error;
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}

/** A group of checks that needs tools; skipped with the reason in its name where one cannot be had. */
export function withTools(names: readonly ToolName[], title: string, checks: () => void): void {
  const missing = names.map((name) => inject('tools')[name]).find(({ path }) => path === undefined);
  if (missing === undefined) describe(title, checks);
  else describe.skip(`${title} — ${missing.reason}`, checks);
}
