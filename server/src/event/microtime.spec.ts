import { describe, expect, it } from 'vitest';
import { rfc3339 } from './microtime.ts';

describe('rfc3339()', () => {
  it('keeps every microsecond', () => {
    expect(rfc3339(1_638_352_800_000_000)).toBe('2021-12-01T10:00:00.000000Z');
    expect(rfc3339(1_638_352_800_000_001)).toBe('2021-12-01T10:00:00.000001Z');
    expect(rfc3339(1_638_352_800_999_999)).toBe('2021-12-01T10:00:00.999999Z');
  });
});
