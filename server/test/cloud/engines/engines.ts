import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';

/*
 * The engines of the Google Cloud tests, none of them ours. They come on first use (`install.ts`) into a folder
 * that git ignores, each under a name that changes with its pinned version.
 */

const HERE = import.meta.dirname;
/** Where the engines are installed. */
export const CACHE = join(HERE, '../.engines');

/** The files that pin each engine's version, and the command that its installation needs. */
const PINS = {
  pstest: { needs: 'go', files: ['go.mod', 'go.sum', 'main.go', 'faults.go', 'control.go'] },
  bqemulator: { needs: 'python3', files: ['requirements.txt'] },
  googlesql: { needs: 'npm', files: ['package.json', 'package-lock.json'] },
} as const;

export type EngineName = keyof typeof PINS;
export const ENGINES = Object.keys(PINS) as EngineName[];

/** The command that brings all engines. */
export const INSTALL = 'node server/test/cloud/engines/install.ts';

/** An engine's sources: what git keeps. */
export const sourceOf = (name: EngineName): string => join(HERE, name);

/** The tool that brings it. */
export const needs = (name: EngineName): string => PINS[name].needs;

/** Where an engine of the pinned version is, or will be. */
export function homeOf(name: EngineName): string {
  const hash = createHash('sha256');
  for (const file of PINS[name].files) hash.update(readFileSync(join(HERE, name, file)));
  return join(CACHE, `${name}-${hash.digest('hex').slice(0, 12)}`);
}

/** Written last into an engine's home: what stands there is whole. */
export const markOf = (name: EngineName): string => join(homeOf(name), '.installed');

/** Holds why an engine could not be installed. */
export const reasonOf = (name: EngineName): string => join(CACHE, `${name}.missing.txt`);

/** Why an engine is not there, with the command that brings it; undefined when it is. */
export function missing(name: EngineName): string | undefined {
  if (existsSync(markOf(name))) return undefined;
  const reason = existsSync(reasonOf(name)) ? readFileSync(reasonOf(name), 'utf8') : 'not installed yet';
  return `${name} is missing: ${reason.trim()}; \`${INSTALL}\` brings it`;
}

/** True when an engine is installed. */
export const available = (name: EngineName): boolean => missing(name) === undefined;

/** `describe` for tests that need engines: where one is missing they are skipped, and the title says why. */
export function describeWith(names: readonly EngineName[], title: string, tests: () => void): void {
  const reasons = names.map(missing).filter((reason) => reason !== undefined);
  if (reasons.length === 0) describe(title, tests);
  else describe.skip(`${title} (skipped: ${reasons.join('; ')})`, tests);
}
