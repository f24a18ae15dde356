import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ENGINES,
  homeOf,
  INSTALL,
  markOf,
  missing,
  needs,
  reasonOf,
  sourceOf,
  type EngineName,
} from './engines.ts';

/** How each engine is made from its sources, in its home: [command, arguments, folder to run in]. */
const RECIPES: Record<EngineName, (home: string, source: string) => [string, string[], string]> = {
  pstest: (home, source) => ['go', ['build', '-p', '2', '-o', join(home, 'pstest'), '.'], source],
  bqemulator: (home, source) => [
    'python3',
    ['-m', 'pip', 'install', '--quiet', '--target', home, '--requirement', join(source, 'requirements.txt')],
    home,
  ],
  googlesql: (home) => [
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    home,
  ],
};

/** Installs what is missing. Says what could not be had, and why; with CI=true that is a failure. */
export default function install(): void {
  const lacking = ENGINES.filter((name) => !tryInstall(name)).map((name) => missing(name)!);
  for (const reason of lacking) console.warn(`cloud tests: ${reason}`);
  if (lacking.length > 0 && process.env['CI'] === 'true') throw new Error(lacking.join('\n'));
}

function tryInstall(name: EngineName): boolean {
  rmSync(reasonOf(name), { force: true });
  if (existsSync(markOf(name))) return true;
  const home = homeOf(name);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  console.log(`cloud tests: installing ${name} …`);
  const startedAt = Date.now();
  try {
    if (name === 'googlesql') {
      for (const file of ['package.json', 'package-lock.json'])
        cpSync(join(sourceOf(name), file), join(home, file));
    }
    const [command, args, cwd] = RECIPES[name](home, sourceOf(name));
    execFileSync(command, args, {
      cwd,
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, CGO_ENABLED: '0' },
    });
    writeFileSync(markOf(name), '');
    console.log(`cloud tests: ${name} installed in ${Math.round((Date.now() - startedAt) / 1_000)} s`);
    return true;
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    writeFileSync(reasonOf(name), whyNot(name, error as NodeJS.ErrnoException & { stderr?: Buffer }));
    return false;
  }
}

function whyNot(name: EngineName, error: NodeJS.ErrnoException & { stderr?: Buffer }): string {
  if (error.code === 'ENOENT')
    return `the command \`${needs(name)}\` is not on this machine: install it first`;
  const last = error.stderr?.toString().trim().split('\n').at(-1) ?? error.message;
  return `its installation with \`${needs(name)}\` failed: ${last}`;
}

if (process.argv[1] === import.meta.filename) {
  install();
  const lacking = ENGINES.filter((name) => missing(name) !== undefined);
  console.log(
    lacking.length === 0 ? 'All engines are installed.' : `Missing: ${lacking.join(', ')} (${INSTALL})`,
  );
  process.exitCode = lacking.length === 0 ? 0 : 1;
}
