import { execSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/*
 * Runs after `npm install` and `npm ci`. DuckDB's library for each platform is an optional package, so `--omit=optional`,
 * which leaves Google's clients out, leaves it out too: here the one for this platform is brought back.
 */

const modules = new URL('../node_modules/', import.meta.url);
const bindings = new URL('@duckdb/node-bindings/package.json', modules);
if (existsSync(bindings)) {
  const { optionalDependencies } = JSON.parse(readFileSync(bindings, 'utf8'));
  const name = `@duckdb/node-bindings-${process.platform}-${process.arch}${musl() ? '-musl' : ''}`;
  const version = optionalDependencies[name];
  if (version !== undefined && !existsSync(new URL(name, modules))) {
    // The same version as in the lock file, whose checksum npm checks; the options of the outer command hold here too.
    execSync(`npm install --no-save --no-audit --no-fund --ignore-scripts ${name}@${version}`, {
      cwd: new URL('..', modules),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
}

function musl() {
  return process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;
}
