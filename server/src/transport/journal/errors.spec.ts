import { describe, expect, it } from 'vitest';
import { StoreError } from '../../event/store-error.ts';
import { journalError, JOURNAL_ERRORS } from './errors.ts';

const native = (code: string) => Object.assign(new Error(`${code}: as the system says it`), { code });

describe('journalError()', () => {
  it.each(Object.entries(JOURNAL_ERRORS))('%s → %s', (code, expected) => {
    const cause = native(code);
    expect(journalError(cause)).toMatchObject({
      code: expected,
      cause,
      message: `journal: ${cause.message}`,
    });
  });

  it('takes what it does not know for something that may pass', () => {
    expect(journalError(native('EWHATEVER')).code).toBe('unavailable');
    expect(journalError(new Error('no code')).code).toBe('unavailable');
    expect(journalError('no Error')).toMatchObject({ code: 'unavailable', message: 'journal: no Error' });
  });

  it('hands a StoreError on as it is', () => {
    const error = new StoreError('too-large', 'x');
    expect(journalError(error)).toBe(error);
  });
});
