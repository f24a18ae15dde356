import type { IncomingHttpHeaders } from 'node:http';

/** For how long a browser may keep the answer to a preflight, in seconds. */
const MAX_AGE_S = 86_400;

/** Headers that a page may read besides the ones that browsers always show. */
const EXPOSED = 'ETag, Retry-After, Daybook-As-Of, Daybook-Bytes-Billed';

/** Cross-origin access (the Fetch standard) for pages of the origins that are configured. */
export class Cors {
  readonly #origins: ReadonlySet<string>;

  /** Without origins nothing is allowed; `*` allows every origin. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  get on(): boolean {
    return this.#origins.size > 0;
  }

  /** Headers that let a page of this origin read the answer; `vary` in all cases, since caches must know. */
  answerHeaders(origin: string | undefined): Readonly<Record<string, string>> {
    if (!this.#allows(origin)) return { vary: 'Origin' };
    return {
      vary: 'Origin',
      'access-control-allow-origin': origin,
      'access-control-expose-headers': EXPOSED,
    };
  }

  /** Headers of the answer to a preflight for a path that takes these methods. */
  preflightHeaders(
    headers: IncomingHttpHeaders,
    methods: readonly string[],
  ): Readonly<Record<string, string>> {
    const vary = 'Origin, Access-Control-Request-Headers';
    const { origin } = headers;
    if (!this.#allows(origin)) return { vary };
    const asked = headers['access-control-request-headers'];
    return {
      vary,
      'access-control-allow-origin': origin,
      'access-control-allow-methods': methods.join(', '),
      ...(asked === undefined ? {} : { 'access-control-allow-headers': asked }),
      'access-control-max-age': String(MAX_AGE_S),
    };
  }

  #allows(origin: string | undefined): origin is string {
    return origin !== undefined && (this.#origins.has('*') || this.#origins.has(origin));
  }
}

/** Whether this is a browser's question before a request; any other OPTIONS is a request like others. */
export function isPreflight(method: string, headers: IncomingHttpHeaders): boolean {
  return (
    method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  );
}
