import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';
import { checkCredentialsFile } from './credentials.ts';

describe('checkCredentialsFile()', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'daybook-credentials-'));
    path = join(directory, 'key.json');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const check = (env: Record<string, string> = {}) =>
    checkCredentialsFile(
      readConfig({ GOOGLE_CLOUD_PROJECT: 'acme-web', GOOGLE_APPLICATION_CREDENTIALS: path, ...env }),
    );

  it('takes a key file', () => {
    writeFileSync(path, '{"type":"service_account"}');
    expect(() => check()).not.toThrow();
  });

  it('says what is wrong with another', () => {
    expect(() => check()).toThrow(`GOOGLE_APPLICATION_CREDENTIALS: ${path} is not there`);
    writeFileSync(path, 'secret');
    expect(() => check()).toThrow(/is not JSON$/);
    writeFileSync(path, '"secret"');
    expect(() => check()).toThrow(/it has no "type"$/);
    rmSync(path);
    mkdirSync(path);
    expect(() => check()).toThrow(/is a directory: a container engine makes one/);
  });

  it('looks at no file in the embedded mode', () => {
    expect(() => check({ DAYBOOK_WAREHOUSE: 'duckdb' })).not.toThrow();
  });

  it.skipIf(process.getuid?.() !== 0)(
    'says mode and owner of a file that this user cannot read (needs root)',
    () => {
      writeFileSync(path, '{"type":"service_account"}');
      chmodSync(path, 0o600);
      chmodSync(directory, 0o755);
      process.seteuid?.(10_001);
      try {
        expect(() => check()).toThrow(
          /cannot be read by user .*its mode is 0600, its owner user 0, group 0.*--user 0:0/,
        );
      } finally {
        process.seteuid?.(0);
      }
    },
  );
});
