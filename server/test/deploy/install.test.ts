import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROOT } from './tool.ts';

/* What an installation brings, with and without Google's clients, by npm itself. */

const MANIFESTS = [
  'package.json',
  'package-lock.json',
  'server/package.json',
  'bench/package.json',
  'scripts',
];

describe('npm ci --omit=dev', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'daybook-install-'));
    for (const file of MANIFESTS) cpSync(join(ROOT, file), join(directory, file), { recursive: true });
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const run = (command: string, args: readonly string[]) =>
    execFileSync(command, args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const install = (...options: readonly string[]) =>
    run('npm', ['ci', '--omit=dev', ...options, '--no-audit', '--no-fund', '--loglevel=error']);
  const has = (name: string) => existsSync(join(directory, 'node_modules', name));
  /** MB of node_modules, as `du -sm` counts. */
  const size = () => Number(run('du', ['-sm', 'node_modules']).split('\t')[0]);
  const loads = (name: string) => run(process.execPath, ['-e', `require('${name}')`]);

  it("brings Google's clients, in at most 210 MB", () => {
    install();
    expect(has('@google-cloud/pubsub') && has('@google-cloud/bigquery')).toBe(true);
    expect(size()).toBeLessThanOrEqual(210);
    loads('@google-cloud/pubsub');
    loads('@duckdb/node-api');
  });

  it('leaves them out with --omit=optional, in at most 150 MB, and keeps what DuckDB needs on this platform', () => {
    install('--omit=optional');
    expect(has('@google-cloud')).toBe(false);
    expect(size()).toBeLessThanOrEqual(150);
    loads('@duckdb/node-api');
  });
});
