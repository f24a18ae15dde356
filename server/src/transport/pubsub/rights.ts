import type { PubsubClient } from './client.ts';
import { missingRight, missingTopic } from './errors.ts';

const PUBLISH = 'pubsub.topics.publish';

const PERMISSION_DENIED = 7;
/** Of an emulator, which has no rights to ask for. */
const UNIMPLEMENTED = 12;

/**
 * What keeps this account from publishing to a topic; undefined: nothing. Asks for the right itself, since a publisher may not even
 * look whether the topic is there, and of one that is missing the answer is that there is no right.
 * https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/testIamPermissions
 */
export async function publishFault(
  client: PubsubClient,
  { projectId, topic }: { readonly projectId: string; readonly topic: string },
): Promise<string | undefined> {
  const name = `projects/${projectId}/topics/${topic}`;
  const granted = await client
    .topic(topic)
    .iam.testPermissions([PUBLISH])
    .then(
      ([permissions]) => permissions[PUBLISH] === true,
      (error: unknown) => {
        if (codeOf(error) === UNIMPLEMENTED) return undefined;
        throw error;
      },
    );
  if (granted === true) return undefined;
  const there = await client
    .topic(topic)
    .exists()
    .then(
      ([exists]) => exists,
      (error: unknown) => {
        if (codeOf(error) === PERMISSION_DENIED) return undefined;
        throw error;
      },
    );
  if (there === false) return missingTopic(name);
  if (granted === undefined) return undefined;
  return there === true ? missingRight(name) : `${missingRight(name)}; or ${missingTopic(name)}`;
}

/**
 * Whether nobody takes what is published to a topic, so that it is lost; false where this account may not look.
 * https://cloud.google.com/pubsub/docs/subscription-overview: a message without a subscription cannot be received later
 */
export async function isUnheard(client: PubsubClient, topic: string): Promise<boolean> {
  return client
    .topic(topic)
    .getSubscriptions()
    .then(
      ([subscriptions]) => subscriptions.length === 0,
      (error: unknown) => {
        if (codeOf(error) === PERMISSION_DENIED) return false;
        throw error;
      },
    );
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}
