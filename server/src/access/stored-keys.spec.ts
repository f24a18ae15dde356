import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Keys } from './keys.ts';
import { storedKeys } from './stored-keys.ts';

describe('storedKeys()', () => {
  let directory: string;
  let count: number;
  const newKey = () => `a-new-key-${(count += 1)}`;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'daybook-keys-'));
    count = 0;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('makes the keys that are needed once, and knows them by their hashes', () => {
    const first = storedKeys(directory, ['write', 'read'], newKey);
    expect(first.made).toEqual({ write: 'a-new-key-1', read: 'a-new-key-2' });
    const again = storedKeys(directory, ['write', 'read'], newKey);
    expect(again.made).toEqual({});
    const keys = new Keys({ writeKeys: [], readKeys: [], keyHashes: again.hashes });
    expect(() => keys.check('write', 'Bearer a-new-key-1')).not.toThrow();
    expect(() => keys.check('read', 'Bearer a-new-key-2')).not.toThrow();
    expect(() => keys.check('write', 'Bearer a-new-key-2')).toThrow(/write key/);
    expect(() => keys.check('read', undefined)).toThrow(/read key/);
  });

  it('stores no key, and nothing that others may read', () => {
    const { path } = storedKeys(directory, ['write', 'read'], newKey);
    expect(readFileSync(path, 'utf8')).not.toContain('a-new-key');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('makes only what is needed, and keeps what is there', () => {
    expect(storedKeys(directory, ['read'], newKey).made).toEqual({ read: 'a-new-key-1' });
    const { made, hashes } = storedKeys(directory, ['write', 'read'], newKey);
    expect(made).toEqual({ write: 'a-new-key-2' });
    expect(hashes.read).toHaveLength(1);
  });

  it.each(['', '{', 'null', '{"write":["x"],"read":[]}', '{"write":[]}'])(
    'refuses %j as its file',
    (text) => {
      writeFileSync(join(directory, 'keys.json'), text);
      expect(() => storedKeys(directory, ['write'], newKey)).toThrow(/keys\.json is not what Daybook wrote/);
    },
  );
});
