import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, ENVIRONMENT, readConfig } from './config.ts';
import { addEnvFile, parseEnvFile } from './env-file.ts';

const values = (text: string) => {
  const parsed = parseEnvFile(text);
  expect(parsed.faults).toEqual([]);
  return Object.fromEntries(parsed.values);
};

describe('parseEnvFile()', () => {
  it.each([
    ['A=1', '1'],
    ['export A=1', '1'],
    ['  A = spaced out  ', 'spaced out'],
    ['A=', ''],
    ["A=''", ''],
    ['A=a=b', 'a=b'],
    ['A=a#b', 'a#b'],
    ['A=a # comment', 'a'],
    ['A= # comment', ''],
    ['A="a # b" # comment', 'a # b'],
    ["A='a \\n $B'", 'a \\n $B'],
    ['A="x\\ny \\"z\\" \\\\ \\d"', 'x\ny "z" \\ \\d'],
    ['A=it\'s "fine"', 'it\'s "fine"'],
    ['A=${B}', '${B}'],
    ['A=größe', 'größe'],
  ])('reads %s', (line, value) => expect(values(line)).toEqual({ A: value }));

  it('passes over empty lines and comments, and takes either end of line', () => {
    expect(values('\uFEFF# settings\r\n\r\n  # more\nA=1\r\nB=2')).toEqual({ A: '1', B: '2' });
  });

  it('says of each broken line its number, and shows no value', () => {
    const { faults } = parseEnvFile(
      [
        'A=1',
        'secret',
        '=secret',
        '1A=secret',
        'B="secret',
        "C='a' secret",
        'A=secret',
        'D=\u0000secret',
      ].join('\n'),
    );
    expect(faults).toEqual([
      'line 2: must be NAME=value',
      'line 3: must be NAME=value',
      'line 4: must be NAME=value',
      'line 5: the quote of B must end in the same line, with nothing but a comment behind it',
      'line 6: the quote of C must end in the same line, with nothing but a comment behind it',
      'line 7: A stands in line 1 already',
      'line 8: the value of D has a control character',
    ]);
  });
});

describe('addEnvFile()', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'daybook-env-'));
    path = join(directory, '.env');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('adds what the environment does not set, also where that is empty', () => {
    writeFileSync(path, 'A=file\nB=file\nC=file\n');
    const env = { A: 'shell', B: '' };
    addEnvFile(env, path);
    expect(env).toEqual({ A: 'shell', B: '', C: 'file' });
  });

  it('adds nothing where there is no file', () => {
    const env = {};
    addEnvFile(env, path);
    expect(env).toEqual({});
  });

  it('adds nothing of a file with a broken line, and names file and line', () => {
    writeFileSync(path, 'A=1\nwhat is this\n');
    const env = {};
    expect(() => addEnvFile(env, path)).toThrow(new ConfigError([`${path}, line 2: must be NAME=value`]));
    expect(env).toEqual({});
  });

  it('says that it cannot read a directory, bytes that are no text, and more than a file of settings has', () => {
    mkdirSync(path);
    expect(() => addEnvFile({}, path)).toThrow(/\.env: cannot be read: .*directory/);
    rmSync(path, { recursive: true });
    writeFileSync(path, Buffer.from([0x41, 0x3d, 0xff, 0xfe]));
    expect(() => addEnvFile({}, path)).toThrow(/\.env: cannot be read/);
    writeFileSync(path, 'A'.repeat(70_000));
    expect(() => addEnvFile({}, path)).toThrow(/has 70000 bytes, at most 65536/);
  });

  it.skipIf(process.getuid?.() === 0)('says that it has no right to the file (skipped for root)', () => {
    writeFileSync(path, 'A=1\n');
    chmodSync(path, 0);
    expect(() => addEnvFile({}, path)).toThrow(/\.env: cannot be read: EACCES/);
  });
});

describe('.env.example', () => {
  const text = readFileSync(join(import.meta.dirname, '../../.env.example'), 'utf8');

  it('sets nothing as it is', () => expect(values(text)).toEqual({}));

  it('has settings that are there, with values that they take', () => {
    const given = values(text.replaceAll(/^#(?=[A-Z_]+=)/gm, ''));
    expect(Object.keys(given).length).toBeGreaterThan(6);
    for (const name of Object.keys(given)) expect(Object.keys(ENVIRONMENT.shape)).toContain(name);
    expect(readConfig(given).warehouse).toBe('bigquery');
  });

  it('leads to a file that git does not take', () => {
    expect(readFileSync(join(import.meta.dirname, '../../.gitignore'), 'utf8').split('\n')).toContain('.env');
  });
});
