import { describe, expect, it } from 'vitest';
import type { PubsubClient } from './client.ts';
import { pubsubError } from './errors.ts';
import { isUnheard, publishFault } from './rights.ts';

const TOPIC = { projectId: 'acme-web', topic: 'analytics' };
const NAME = 'projects/acme-web/topics/analytics';
const denied = Object.assign(new Error('7 PERMISSION_DENIED: User not authorized.'), { code: 7 });

/** A topic as it answers an account; `exists` undefined: the account may not look. */
function account(publish: boolean | 'unimplemented', exists: boolean | undefined): PubsubClient {
  return {
    topic: () => ({
      iam: {
        testPermissions: (permissions: string[]) => {
          expect(permissions).toEqual(['pubsub.topics.publish']);
          return publish === 'unimplemented'
            ? Promise.reject(Object.assign(new Error('12 UNIMPLEMENTED'), { code: 12 }))
            : Promise.resolve([{ 'pubsub.topics.publish': publish }]);
        },
      },
      exists: () => (exists === undefined ? Promise.reject(denied) : Promise.resolve([exists])),
    }),
  } as unknown as PubsubClient;
}

describe('publishFault()', () => {
  it('row 11: takes a publisher that may not look at its topic', async () => {
    expect(await publishFault(account(true, undefined), TOPIC)).toBeUndefined();
  });

  it('row 13: tells a missing right from a missing topic, and names both where it cannot', async () => {
    const right = `the right pubsub.topics.publish on ${NAME} is missing: gcloud pubsub topics add-iam-policy-binding ${NAME} --role=roles/pubsub.publisher --member=MEMBER`;
    const topic = `${NAME} is not there: "daybook gcp provision" makes it`;
    expect(await publishFault(account(false, true), TOPIC)).toBe(right);
    // Of what is missing, the answer is that there is no right.
    expect(await publishFault(account(false, false), TOPIC)).toBe(topic);
    expect(await publishFault(account(false, undefined), TOPIC)).toBe(`${right}; or ${topic}`);
  });

  it('says of a topic that nobody hears it, where that can be seen', async () => {
    const heardBy = (subscriptions: Promise<unknown>) =>
      ({ topic: () => ({ getSubscriptions: () => subscriptions }) }) as unknown as PubsubClient;
    expect(await isUnheard(heardBy(Promise.resolve([[]])), 'analytics')).toBe(true);
    expect(await isUnheard(heardBy(Promise.resolve([[{}]])), 'analytics')).toBe(false);
    expect(await isUnheard(heardBy(Promise.reject(denied)), 'analytics')).toBe(false);
  });

  it('looks for the topic of an emulator, which has no rights', async () => {
    expect(await publishFault(account('unimplemented', true), TOPIC)).toBeUndefined();
    expect(await publishFault(account('unimplemented', false), TOPIC)).toContain('is not there');
  });

  it('row 13: the first publish that fails says the same', () => {
    expect(pubsubError(denied, NAME).message).toMatch(
      /^pubsub: the right pubsub\.topics\.publish on .* is missing: gcloud .*PERMISSION_DENIED/,
    );
    const missing = Object.assign(new Error('5 NOT_FOUND: Resource not found'), { code: 5 });
    expect(pubsubError(missing, NAME).message).toMatch(
      /topics\/analytics is not there: "daybook gcp provision" makes it/,
    );
    expect(pubsubError(missing).message).toBe('pubsub: 5 NOT_FOUND: Resource not found');
  });
});
