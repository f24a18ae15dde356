import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from './config.ts';

const KEY = 'a-key-of-16-chars';
const IMAGE = { HOST: '0.0.0.0', DAYBOOK_MAKE_KEYS: 'on' };
const GOOGLE = {
  GOOGLE_APPLICATION_CREDENTIALS: "/var/my secrets/google's/key.json",
  GOOGLE_CLOUD_PROJECT: 'acme-web',
  BIGQUERY_TABLE_NAME: 'acme-web.web.events',
};

function faults(env: NodeJS.ProcessEnv): readonly string[] {
  let key = 0;
  try {
    readConfig(env, () => `made-key-number-${(key += 1)}`);
    return [];
  } catch (error) {
    return (error as ConfigError).faults;
  }
}

describe('a server that other machines can reach', () => {
  it('does without keys where that is asked for', () => {
    expect(faults({ HOST: '0.0.0.0', DAYBOOK_ALLOW_ANONYMOUS: 'on' })).toEqual([]);
    expect(faults({ ...IMAGE, ...GOOGLE, DAYBOOK_ALLOW_ANONYMOUS: 'on' })).toEqual([]);
    expect(faults({ HOST: '0.0.0.0', DAYBOOK_ALLOW_ANONYMOUS: 'off' })[0]).toContain(
      'DAYBOOK_ALLOW_ANONYMOUS=on',
    );
  });

  it('makes the keys that are missing, in the embedded mode of an image', () => {
    expect(readConfig(IMAGE).keysToMake).toEqual(['DAYBOOK_WRITE_KEYS', 'DAYBOOK_READ_KEYS']);
    expect(readConfig({ ...IMAGE, DAYBOOK_WRITE_KEYS: KEY }).keysToMake).toEqual(['DAYBOOK_READ_KEYS']);
    expect(readConfig({ ...IMAGE, HOST: '127.0.0.1' }).keysToMake).toEqual([]);
    expect(readConfig({ ...IMAGE, DAYBOOK_ALLOW_ANONYMOUS: 'on' }).keysToMake).toEqual([]);
  });

  it('says the whole command with keys, in the google mode of an image, and the shell takes it', () => {
    const [fault, ...more] = faults({ ...IMAGE, ...GOOGLE });
    expect(more).toEqual([]);
    expect(fault).toContain('DAYBOOK_ALLOW_ANONYMOUS=on');
    const command = /docker run(?:.*\\\n)*.*/.exec(fault ?? '')?.[0] ?? '';
    const words = execFileSync('sh', ['-c', `docker() { printf '%s\\n' "$@"; }; ${command}`], {
      cwd: '/',
      encoding: 'utf8',
    });
    expect(words.trim().split('\n')).toEqual([
      'run',
      '-p',
      '3000:3000',
      '-v',
      "//key.json:/var/my secrets/google's/key.json:ro",
      '-e',
      "GOOGLE_APPLICATION_CREDENTIALS=/var/my secrets/google's/key.json",
      '-e',
      'GOOGLE_CLOUD_PROJECT=acme-web',
      '-e',
      'BIGQUERY_TABLE_NAME=acme-web.web.events',
      '-e',
      'DAYBOOK_WRITE_KEYS=made-key-number-1',
      '-e',
      'DAYBOOK_READ_KEYS=made-key-number-2',
      'analytics-endpoint',
    ]);
    const given = Object.fromEntries(
      words
        .split('\n')
        .filter((word) => word.includes('='))
        .map((word) => word.split('=') as [string, string]),
    );
    expect(faults({ ...IMAGE, ...given })).toEqual([]);
  });

  it('makes new keys for each start', () => {
    const texts = [1, 2].map(() => {
      try {
        readConfig({ ...IMAGE, ...GOOGLE });
      } catch (error) {
        return /DAYBOOK_WRITE_KEYS=(\S{32})/.exec((error as Error).message)?.[1];
      }
      return undefined;
    });
    expect(texts[0]).toBeDefined();
    expect(texts[0]).not.toBe(texts[1]);
  });
});
