import fc from 'fast-check';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { ApiDocument } from '../../src/http/openapi.ts';

/* Requests made from the API document: what it allows, and what it does not. */

export const KEY = 'key-of-the-api-fuzzing';

/** An operation of the document. */
export interface Operation {
  readonly path: string;
  readonly method: string;
  readonly spec: Spec;
}

interface Spec {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, Answer>>;
}

export interface Answer {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

/** As much of JSON Schema as the document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly type?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly minItems?: number;
}

export interface Sent {
  readonly operation: Operation;
  /** As it goes out: the operation's, or another. */
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  /** The value that the body is JSON of, where it is that and nothing else was changed on it. */
  readonly value: unknown;
}

export function operationsOf(document: ApiDocument): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, spec]) => ({
      path,
      method: method.toUpperCase(),
      spec: spec as unknown as Spec,
    })),
  );
}

const TEXT = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '\0',
    '\ud800',
    '\\',
    '"',
    '\u2028',
    '__proto__',
    'x'.repeat(201),
    'ä'.repeat(200),
    '😀',
  ),
);
/** Any JSON, with the keys that programs trip over. */
const ANYTHING: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 6 }),
  TEXT,
  fc.double(),
  fc.constantFrom(null, true, 0, -0, 1e308, 2 ** 53, [], {}, [[[[[[[]]]]]]]),
);

/** Values that a schema allows. */
function valid(schema: Schema, document: ApiDocument): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined)
    return valid(document.components.schemas[schema.$ref.split('/').at(-1)!] as Schema, document);
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -1_000, max: Math.min(schema.maximum ?? 1_000, 1e9) });
    case 'number':
      return fc.oneof(
        fc.integer({ min: 946_684_800, max: 1_790_000_000 }),
        fc.double({ min: 1e9, max: 1.79e9, noNaN: true }),
      );
    case 'array':
      return fc.array(valid(schema.items ?? {}, document), { minLength: schema.minItems ?? 0, maxLength: 5 });
    case 'object':
      return object(schema, document);
    case 'string':
      return text(schema);
    default:
      return ANYTHING;
  }
}

function text({ format, minLength = 0, maxLength = 30 }: Schema): fc.Arbitrary<string> {
  if (format === 'date') {
    const days = fc.date({ min: new Date('1990-01-01'), max: new Date('2030-01-01'), noInvalidDate: true });
    return days.map((date) => date.toISOString().slice(0, 10));
  }
  return fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 30) });
}

function object({ properties = {}, required = [] }: Schema, document: ApiDocument): fc.Arbitrary<unknown> {
  const fields = Object.entries(properties).map(([name, schema]) => [name, valid(schema, document)] as const);
  if (fields.length === 0)
    return fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 });
  return fc.record(Object.fromEntries(fields), { requiredKeys: [...required] });
}

/** A valid value, or one with something in it changed. */
function nearlyValid(schema: Schema, document: ApiDocument): fc.Arbitrary<unknown> {
  const good = valid(schema, document);
  const bad = fc
    .tuple(good, fc.nat(), TEXT, ANYTHING)
    .map(([value, place, name, odd]) => change(value, { place, name, odd }));
  return fc.oneof(
    { weight: 5, arbitrary: good },
    { weight: 4, arbitrary: bad },
    { weight: 1, arbitrary: ANYTHING },
  );
}

interface Change {
  readonly place: number;
  readonly name: string;
  readonly odd: unknown;
}

function change(value: unknown, with_: Change): unknown {
  const { place, name, odd } = with_;
  if (Array.isArray(value))
    return value.map((item: unknown, index) => (index === place % value.length ? change(item, with_) : item));
  if (typeof value !== 'object' || value === null) return odd;
  const keys = Object.keys(value);
  const key = keys[place % Math.max(1, keys.length)] ?? name;
  if (place % 3 === 0) return Object.fromEntries(Object.entries(value).filter(([one]) => one !== key));
  return { ...value, [place % 3 === 1 ? key : name]: odd };
}

interface Bytes {
  readonly type: string;
  readonly bytes: Buffer;
  readonly value?: unknown;
}

/** A body, by the operation's schemas or none of them. */
function body({ spec }: Operation, document: ApiDocument): fc.Arbitrary<Bytes | undefined> {
  const raw = fc.record({
    type: fc.constantFrom('application/json', 'application/x-ndjson', 'text/plain', 'a', ''),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json(),
      TEXT,
      fc.constant('{"a":'),
      fc.constant('['.repeat(9_999)),
    ),
  });
  const odd = raw.map(({ type, bytes }) => ({ type, bytes: Buffer.from(bytes as string) }));
  const json = (schema: Schema, type: string) =>
    nearlyValid(schema, document).map((value) => ({
      type,
      bytes: Buffer.from(JSON.stringify(value) ?? ''),
      value,
    }));
  const made = Object.entries(spec.requestBody?.content ?? {}).map(([type, { schema }]) =>
    type === 'application/x-ndjson'
      ? fc
          .array(nearlyValid({ $ref: '#/components/schemas/Event' }, document), { maxLength: 5 })
          .map((events) => ({
            type,
            bytes: Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join('')),
          }))
      : json(schema, type),
  );
  if (made.length === 0)
    return fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: odd });
  return fc.oneof({ weight: 8, arbitrary: fc.oneof(...made) }, { weight: 2, arbitrary: odd });
}

const COMPRESS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: gzipSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};

/** Header values are what Node's client sends: bytes of Latin-1 without control characters. */
const HEADER = fc
  .string({ maxLength: 20 })
  .map((value) => value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '').trim());

const HEADERS: fc.Arbitrary<Record<string, string>> = fc
  .record(
    {
      authorization: fc.oneof(
        HEADER,
        HEADER.map((key) => `Bearer ${key}`),
      ),
      origin: fc.oneof(HEADER, fc.constantFrom('https://app.example', 'null')),
      'if-none-match': fc.oneof(HEADER, fc.constantFrom('*', '"a", W/"b"')),
      accept: fc.oneof(HEADER, fc.constantFrom('text/html', 'application/xml', '*/*;q=0')),
      'access-control-request-method': fc.constantFrom('POST', 'GET', 'x'),
      'x-forwarded-for': HEADER,
      range: fc.constantFrom('bytes=0-0', 'bytes=9-1'),
      'content-language': HEADER,
    },
    { requiredKeys: [] },
  )
  .chain((odd) =>
    fc.oneof({ weight: 7, arbitrary: fc.constant({}) }, { weight: 3, arbitrary: fc.constant(odd) }),
  )
  .map((odd) => ({ authorization: `Bearer ${KEY}`, ...odd }));

function query({ spec }: Operation, document: ApiDocument): fc.Arbitrary<string> {
  const known = (spec.parameters ?? []).filter((parameter) => parameter.in === 'query');
  const fields = known.map(({ name, schema }) => {
    const zone = fc.constantFrom('UTC', 'Europe/Helsinki', 'America/New_York', 'Mars/Olympus');
    const good = name === 'timezone' ? zone : valid(schema, document);
    const one = fc.oneof({ weight: 6, arbitrary: good.map(String) }, { weight: 1, arbitrary: TEXT });
    return [name, one] as const;
  });
  const good = fc.record(Object.fromEntries(fields), { requiredKeys: [] });
  const extra = fc.array(
    fc.tuple(fc.oneof(TEXT, fc.constantFrom(...known.map(({ name }) => name), 'x')), TEXT),
    { maxLength: 2 },
  );
  const encode = (pairs: [string, string][]) =>
    pairs
      .map(
        ([name, value]) =>
          `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`,
      )
      .join('&');
  const made = fc.tuple(
    good,
    fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: extra }),
  );
  const raw = fc.string({ maxLength: 30 }).map((value) => value.replaceAll(/[^\x21-\x7e]/g, ''));
  return fc.oneof(
    {
      weight: 6,
      arbitrary: made.map(([record, more]) =>
        encode([...Object.entries(record as Record<string, string>), ...more]),
      ),
    },
    { weight: 1, arbitrary: raw },
    { weight: 2, arbitrary: fc.constant('') },
  );
}

/** The method as it should be, or seldom another. */
function methodOf({ method }: Operation): fc.Arbitrary<string> {
  const head = method === 'GET' ? ['HEAD'] : [];
  const other = fc.constantFrom(
    ...head,
    'GET',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'QUERY',
    'TRACE',
    'PROPFIND',
  );
  return fc.oneof({ weight: 12, arbitrary: fc.constant(method) }, { weight: 1, arbitrary: other });
}

/** The path in another spelling of the same, seldom. */
function spell(path: string): fc.Arbitrary<string> {
  const last =
    path.slice(0, -1) + (path.length > 1 ? `%${path.charCodeAt(path.length - 1).toString(16)}` : '/');
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant(path) },
    { weight: 1, arbitrary: fc.constantFrom(`${path}/`, last) },
  );
}

/** One request to one of the operations. */
export function requests(document: ApiDocument): fc.Arbitrary<Sent> {
  const of = (operation: Operation) =>
    fc
      .tuple(
        methodOf(operation),
        spell(operation.path),
        query(operation, document),
        HEADERS,
        body(operation, document),
        fc.constantFrom('', '', '', '', 'gzip', 'br', 'zstd', 'wrong', 'lzw'),
      )
      .map(([method, path, search, headers, sent, encoding]): Sent => {
        const target = search === '' ? path : `${path}?${search}`;
        const plain = { operation, method, target, value: undefined };
        if (sent === undefined) return { ...plain, headers, body: undefined };
        const type = sent.type === '' ? {} : { 'content-type': sent.type };
        const bytes = COMPRESS[encoding]?.(sent.bytes) ?? sent.bytes;
        const coding =
          encoding === '' ? {} : { 'content-encoding': encoding === 'wrong' ? 'gzip' : encoding };
        const value = encoding === 'wrong' || encoding === 'lzw' ? undefined : sent.value;
        return { ...plain, headers: { ...headers, ...type, ...coding }, body: bytes, value };
      });
  const operations = operationsOf(document);
  // Operations with a body have the most to go wrong.
  const weighted = operations.map((one) => ({
    weight: one.spec.requestBody === undefined ? 1 : 6,
    arbitrary: of(one),
  }));
  return fc.oneof(...weighted);
}
