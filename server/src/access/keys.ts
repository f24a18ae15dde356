import { createHash, timingSafeEqual } from 'node:crypto';
import { Problem } from '../http/problems.ts';

/** The project that every event belongs to until there is more than one. */
export const DEFAULT_PROJECT = 'default';

/** What a key allows. */
export type Access = 'write' | 'read';

interface KeySettings {
  readonly writeKeys: readonly string[];
  readonly readKeys: readonly string[];
  /** SHA-256 of further keys, in hexadecimal. */
  readonly keyHashes?: Readonly<Record<Access, readonly string[]>>;
}

/** Checks bearer keys in constant time. With no keys configured, everything is allowed. */
export class Keys {
  readonly #digests: Readonly<Record<Access, readonly Buffer[]>>;

  constructor({ writeKeys, readKeys, keyHashes }: KeySettings) {
    const stored = (access: Access) => (keyHashes?.[access] ?? []).map((hash) => Buffer.from(hash, 'hex'));
    this.#digests = {
      write: [...writeKeys.map(digest), ...stored('write')],
      read: [...readKeys.map(digest), ...stored('read')],
    };
  }

  /** Whether such a key is asked for. */
  asks(access: Access): boolean {
    return this.#digests[access].length > 0;
  }

  /** @throws Problem `unauthorized` */
  check(access: Access, authorization: string | undefined): void {
    const digests = this.#digests[access];
    if (digests.length === 0) return;
    const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
    const presented = digest(given ?? '');
    let allowed = false;
    for (const expected of digests) allowed = timingSafeEqual(expected, presented) || allowed;
    if (given !== undefined && allowed) return;
    throw new Problem('unauthorized', `send Authorization: Bearer with a ${access} key`, {
      headers: { 'www-authenticate': 'Bearer realm="daybook"' },
    });
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
