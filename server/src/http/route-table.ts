import { Problem } from './problems.ts';

/** A path and the methods that it takes. */
export interface Route {
  readonly path: string;
  readonly methods: ReadonlySet<string>;
}

/** Where a request goes: its route, if there is one, and its URL in the one form that everything behind reads. */
export interface Target {
  readonly route: Route | undefined;
  /** Path and query; never absolute, the path decoded and without a slash at its end. */
  readonly url: string;
}

/** Scheme and authority of a URL in absolute form (RFC 9112, section 3.2.2). */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Every route of the server, by path. It decides before anything reads a body whether a request is for a route at all,
 * and all spellings of a path lead to the same route: absolute URLs, percent-encoded characters, a slash at the end.
 */
export class RouteTable {
  readonly #routes = new Map<string, Route & { readonly methods: Set<string> }>();
  readonly #targets = new Map<string, Target>();

  add(method: string, path: string): void {
    if (/[:*]/.test(path))
      throw new Error(`the route ${path} has a parameter, which the table of routes cannot find`);
    const route = this.#routes.get(path) ?? { path, methods: new Set<string>() };
    route.methods.add(method);
    this.#routes.set(path, route);
    this.#targets.set(path, { route, url: path });
  }

  /** @throws Problem `bad-request` where the URL cannot be decoded */
  find(url: string): Target {
    return this.#targets.get(url) ?? this.#findSpelled(url);
  }

  #findSpelled(url: string): Target {
    const local = url.replace(ORIGIN, '');
    const end = local.search(/[?#]/);
    const path = plainPath(end === -1 ? local : local.slice(0, end));
    const query = local.charAt(end) === '?' ? local.slice(end).split('#', 1)[0]! : '';
    return { route: this.#routes.get(path), url: path + query };
  }
}

function plainPath(path: string): string {
  const decoded = path.includes('%') ? decode(path) : path;
  if (decoded === '') return '/';
  return decoded.length > 1 && decoded.endsWith('/') ? decoded.slice(0, -1) : decoded;
}

/** Decodes what does not change how a URL is read: %2F stays, since a slash would be another path. */
function decode(path: string): string {
  try {
    return decodeURI(path);
  } catch (error) {
    throw new Problem(
      'bad-request',
      'the path must be UTF-8 in percent-encoding: % and two hexadecimal digits',
      {
        cause: error,
      },
    );
  }
}
