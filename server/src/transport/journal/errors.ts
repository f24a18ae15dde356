import { StoreError } from '../../event/store-error.ts';

/** The system's errors → ours, by their code. What is not here is `unavailable`: it may pass. */
export const JOURNAL_ERRORS = {
  ENOSPC: 'unavailable',
  EDQUOT: 'unavailable',
  EFBIG: 'unavailable',
  EIO: 'unavailable',
  EBADF: 'closed',
} as const;

export function journalError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const native = String((error as NodeJS.ErrnoException | undefined)?.code) as keyof typeof JOURNAL_ERRORS;
  const code = Object.hasOwn(JOURNAL_ERRORS, native) ? JOURNAL_ERRORS[native] : 'unavailable';
  return new StoreError(code, `journal: ${message}`, { cause: error });
}

export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String((error as NodeJS.ErrnoException).code));
}
