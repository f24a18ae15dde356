/**
 * How a transport or a warehouse failed. Programs act on the code, never on the message:
 * - `busy`: too many ask at once; it was not asked
 * - `unavailable`: it may work later, with the same input (disk full, broker away, queue full)
 * - `timeout`: it did not answer in time; it may or may not have done the work
 * - `rejected`: this input will never be taken
 * - `too-large`: this input is over a limit of the store
 * - `corrupt`: what is stored cannot be read
 * - `closed`: it was closed, or must be opened again
 */
export type StoreErrorCode =
  'busy' | 'unavailable' | 'timeout' | 'rejected' | 'too-large' | 'corrupt' | 'closed';

/** The one error that transports and warehouses throw. The message is for operators, never for clients. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
