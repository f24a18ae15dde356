/** The exit code of a command that was called wrongly. */
export const EX_USAGE = 2;

/** A command was called with arguments that it cannot follow; the message says which and what is allowed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
