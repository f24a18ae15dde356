import { StoreError, type StoreErrorCode } from '../../event/store-error.ts';

/** BigQuery's reasons → ours. https://cloud.google.com/bigquery/docs/error-messages */
export const BIGQUERY_REASONS: Readonly<Record<string, StoreErrorCode>> = {
  accessDenied: 'unavailable',
  backendError: 'unavailable',
  billingNotEnabled: 'unavailable',
  bytesBilledLimitExceeded: 'too-large',
  internalError: 'unavailable',
  invalid: 'rejected',
  invalidQuery: 'rejected',
  jobBackendError: 'unavailable',
  jobInternalError: 'unavailable',
  jobRateLimitExceeded: 'unavailable',
  notFound: 'unavailable',
  quotaExceeded: 'unavailable',
  rateLimitExceeded: 'unavailable',
  resourcesExceeded: 'too-large',
  responseTooLarge: 'too-large',
  stopped: 'timeout',
  tableUnavailable: 'unavailable',
  timeout: 'timeout',
};

/** What the client says of its own accord, and of the network. */
const MESSAGES: readonly (readonly [RegExp, StoreErrorCode])[] = [
  [/did not complete before|timed? ?out|ETIMEDOUT|deadline/i, 'timeout'],
  [/ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|socket hang up/i, 'unavailable'],
];

/** Whether the API answered that what was asked for is not there. */
export function isNotFound(error: unknown): boolean {
  return answered(error, 404, 'notFound');
}

/** Whether the API answered that this account has no right to it. */
export function isDenied(error: unknown): boolean {
  return answered(error, 403, 'accessDenied');
}

function answered(error: unknown, status: number, reason: string): boolean {
  const { code, errors = [] } = error as ApiError;
  const reasons = errors.flatMap((each) => each.reason ?? []);
  // The same status is given for other reasons too, as 403 is for a quota that is used up.
  return reasons.length > 0 ? reasons.includes(reason) : code === status;
}

interface ApiError {
  readonly code?: number | string;
  readonly message?: string;
  readonly errors?: readonly { readonly reason?: string }[];
}

/** An error of the client → ours; `unavailable` where nothing is known of it, so that nothing is given up on a guess. */
export function bigqueryError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message = String(error), errors = [], code } = error as ApiError;
  const reason = errors.map((each) => BIGQUERY_REASONS[each.reason ?? '']).find((each) => each !== undefined);
  const guess = MESSAGES.find(([pattern]) => pattern.test(message))?.[1];
  const byStatus = code === 400 ? 'rejected' : 'unavailable';
  return new StoreError(reason ?? guess ?? byStatus, `bigquery: ${message}`, { cause: error });
}
