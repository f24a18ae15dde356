import { StoreError, type StoreErrorCode } from '../../event/store-error.ts';

/**
 * gRPC status → ours. https://grpc.github.io/grpc/core/md_doc_statuscodes.html
 * Where an attempt may have reached the broker before the connection broke, the outcome is unknown, which is what
 * `timeout` says; only that is worth another attempt at once.
 */
export const PUBSUB_ERRORS: Readonly<Record<number, StoreErrorCode>> = {
  1: 'timeout', // CANCELLED
  2: 'timeout', // UNKNOWN
  3: 'rejected', // INVALID_ARGUMENT
  4: 'timeout', // DEADLINE_EXCEEDED
  5: 'unavailable', // NOT_FOUND: the topic is missing
  7: 'unavailable', // PERMISSION_DENIED
  8: 'unavailable', // RESOURCE_EXHAUSTED: over a quota
  10: 'timeout', // ABORTED
  13: 'timeout', // INTERNAL
  14: 'timeout', // UNAVAILABLE
  16: 'unavailable', // UNAUTHENTICATED
};

/** What an operator has to do about a status, by the topic's whole name. */
const HELP: Readonly<Record<number, (topic: string) => string>> = { 5: missingTopic, 7: missingRight };

/** An error of the client → ours; what is not a gRPC status happened before anything was sent. */
export function pubsubError(error: unknown, topic?: string): StoreError {
  if (error instanceof StoreError) return error;
  const { code, message } = error as { code?: unknown; message?: string };
  const known = typeof code === 'number' ? PUBSUB_ERRORS[code] : undefined;
  const help = typeof code === 'number' && topic !== undefined ? HELP[code]?.(topic) : undefined;
  const text = `pubsub: ${help === undefined ? '' : `${help}. `}${message ?? String(error)}`;
  return new StoreError(known ?? 'unavailable', text, { cause: error });
}

/** By its whole name, projects/PROJECT/topics/TOPIC. */
export function missingTopic(topic: string): string {
  return `${topic} is not there: "daybook gcp provision" makes it`;
}

export function missingRight(topic: string): string {
  return (
    `the right pubsub.topics.publish on ${topic} is missing: ` +
    `gcloud pubsub topics add-iam-policy-binding ${topic} --role=roles/pubsub.publisher --member=MEMBER`
  );
}
