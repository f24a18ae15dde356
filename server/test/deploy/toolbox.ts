import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Git-ignored; a new version of a tool gets a folder of its own, so that nothing stale is used. */
export const CACHE = join(import.meta.dirname, '.tools');

/** A program or a set of files that a check needs, and the way to it. */
export interface Tool {
  readonly name: string;
  readonly version: string;
  /** What a person would type, shown when it cannot be had. */
  readonly command: string;
  /** Puts it into `directory`, which exists and is empty. */
  install(directory: string): void;
}

/** Where a tool is, or why not. */
export interface Found {
  readonly path: string | undefined;
  readonly reason: string;
}

/** Runs a command at a low priority; its output is kept for the error. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: object } = {},
): string {
  return execFileSync('nice', ['-n', '15', command, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 256 * 1_024 * 1_024,
  });
}

/** A program from the Go module proxy; `go` checks the modules against the checksum database. */
export function goProgram(name: string, module: string, version: string): Tool {
  const target = `${module}@v${version}`;
  return {
    name,
    version,
    command: `go install ${target}`,
    install: (directory) =>
      void run('go', ['install', '-trimpath', '-ldflags=-s -w', target], {
        env: { GOBIN: directory, GOFLAGS: '' },
      }),
  };
}

/** The folder of a Go module's files. */
export function goModule(module: string, version: string): string {
  const answer = run('go', ['mod', 'download', '-json', `${module}@v${version}`], { env: { GOFLAGS: '' } });
  return (JSON.parse(answer) as { Dir: string }).Dir;
}

/** Files of a Python wheel that start with `prefix`, without installing it. */
export function wheelFiles(distribution: string, prefix: string, directory: string): void {
  const wheels = join(directory, '.wheel');
  run('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', wheels, distribution]);
  const script = [
    'import glob, sys, zipfile',
    'wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])',
    'wheel.extractall(sys.argv[3], [name for name in wheel.namelist() if name.startswith(sys.argv[2])])',
  ].join('\n');
  run('python3', ['-c', script, wheels, prefix, directory]);
  rmSync(wheels, { recursive: true });
}

/** Installs a tool unless it is there; a half-installed one never counts. */
export function find(tool: Tool): Found {
  const directory = join(CACHE, `${tool.name}-${tool.version}`);
  if (existsSync(directory)) return { path: directory, reason: '' };
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  try {
    const started = performance.now();
    process.stderr.write(`deploy checks: installing ${tool.name} ${tool.version} …\n`);
    tool.install(partial);
    renameSync(partial, directory);
    process.stderr.write(
      `deploy checks: ${tool.name} took ${Math.round((performance.now() - started) / 1_000)} s\n`,
    );
    return { path: directory, reason: '' };
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    const { message, stderr } = error as Error & { stderr?: string };
    const why = (stderr ?? message).trim().split('\n').slice(-3).join(' ');
    return { path: undefined, reason: `${tool.name} cannot be had (${tool.command}): ${why}` };
  }
}
