import { z } from 'zod';
import { BATCH_LIMITS, EVENT_BYTES_MAX } from '../event/limits.ts';
import { EVENT_EXAMPLE, EVENT_SCHEMA } from '../event/schema.ts';
import { Problem, problemBody, PROBLEMS, type ProblemCode } from './problems.ts';
import {
  ACCEPTED,
  DAILY,
  DAILY_QUERY,
  DEAD_LETTERS,
  DEAD_LETTERS_QUERY,
  LIVE,
  PARTLY_ACCEPTED,
  PROBLEM,
  READY,
} from './wire.ts';

type Json = Record<string, unknown>;

/** A schema that validates, as JSON Schema. */
function schema(from: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(from, { io: 'output', unrepresentable: 'any' }) as Json;
  return rest;
}

const count = (value: number) => value.toLocaleString('en');

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

function answer(description: string, name: string, example?: unknown): Json {
  const content = { schema: ref(name), ...(example === undefined ? {} : { example }) };
  return { description, content: { 'application/json': content } };
}

/** The problems that a route can answer, one response for each status. */
function problems(...codes: ProblemCode[]): Json {
  const byStatus: Record<string, Json> = {};
  for (const status of new Set(codes.map((code) => PROBLEMS[code].status))) {
    const here = codes.filter((code) => PROBLEMS[code].status === status);
    byStatus[status] = {
      description: here.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
      content: { 'application/problem+json': { schema: ref('Problem') } },
    };
  }
  return byStatus;
}

/** What every operation may answer of the request as such. */
const OF_ANY = [
  'bad-request',
  'not-found',
  'method-not-allowed',
  'request-timeout',
  'uri-too-long',
  'expectation-failed',
  'headers-too-large',
] as const satisfies readonly ProblemCode[];

/** Adds what every operation may answer to each of them. */
function withDefaults(paths: Readonly<Record<string, Readonly<Record<string, Json>>>>): ApiDocument['paths'] {
  const of = OF_ANY.map((code) => `\`${code}\` (${PROBLEMS[code].status})`).join(', ');
  const rest = {
    description: `Of any request: ${of}.`,
    content: { 'application/problem+json': { schema: ref('Problem') } },
  };
  const entries = Object.entries(paths).map(([path, methods]) => {
    const operations = Object.entries(methods).map(([method, operation]) => {
      const responses = { ...(operation['responses'] as Json), default: rest };
      return [method, { ...operation, responses }] as const;
    });
    return [path, Object.fromEntries(operations)] as const;
  });
  return Object.fromEntries(entries);
}

/** Query parameters from the schema that checks them. */
function parameters(query: z.ZodObject): Json[] {
  const { properties } = z.toJSONSchema(query, { io: 'output', unrepresentable: 'any' }) as {
    properties: Record<string, Json>;
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: 'query',
    description,
    schema: rest,
  }));
}

const BODY_PROBLEMS = [
  'invalid-json',
  'invalid-utf8',
  'invalid-encoding',
  'unauthorized',
  'request-timeout',
  'body-too-large',
  'unsupported-media-type',
  'unsupported-encoding',
  'storage-unavailable',
  'outcome-unknown',
  'server-busy',
] as const;

const ENCODING = {
  name: 'Content-Encoding',
  in: 'header',
  description: 'How the body is compressed. Limits on bytes hold before and after decompression.',
  schema: { type: 'string', enum: ['gzip', 'br', 'zstd'] },
};

const EVENTS_EXAMPLE = [
  EVENT_EXAMPLE,
  { ...EVENT_EXAMPLE, event_time: EVENT_EXAMPLE.event_time + 45, page: '/docs' },
];

const PROBLEM_EXAMPLE = problemBody(
  new Problem('invalid-event', 'user_id: is required', {
    faults: [{ pointer: '/user_id', detail: 'is required' }],
  }),
  'Jx5lTqGZ-1',
  '/analytics/event',
);

const INGEST = {
  '/analytics/event': {
    post: {
      summary: 'Send one event',
      description: `Answers after the event is durable. The body may have ${count(EVENT_BYTES_MAX)} bytes.`,
      operationId: 'sendEvent',
      tags: ['Events'],
      security: [{}, { writeKey: [] }],
      parameters: [ENCODING],
      requestBody: {
        required: true,
        content: { 'application/json': { schema: ref('Event'), example: EVENT_EXAMPLE } },
      },
      responses: {
        200: answer('Stored durably.', 'Accepted', { accepted: 1 }),
        ...problems(...BODY_PROBLEMS, 'invalid-event'),
      },
    },
  },
  '/analytics/events': {
    post: {
      summary: 'Send a batch of events',
      description:
        `Up to ${count(BATCH_LIMITS.eventsMax)} events and ${count(BATCH_LIMITS.bytesMax)} bytes, ${count(EVENT_BYTES_MAX)} an event, as a JSON array or as ` +
        'NDJSON. The good events are stored, also when others are bad. Give events an event_id: then sending ' +
        'the whole batch again is always safe.',
      operationId: 'sendEvents',
      tags: ['Events'],
      security: [{}, { writeKey: [] }],
      parameters: [ENCODING],
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: { type: 'array', minItems: 1, maxItems: BATCH_LIMITS.eventsMax, items: ref('Event') },
            example: EVENTS_EXAMPLE,
          },
          'application/x-ndjson': {
            schema: { type: 'string', description: 'One event a line; blank lines are passed over.' },
            example: EVENTS_EXAMPLE.map((event) => `${JSON.stringify(event)}\n`).join(''),
          },
        },
      },
      responses: {
        200: answer('All stored durably.', 'Accepted', { accepted: EVENTS_EXAMPLE.length }),
        207: answer('The good events are stored durably; the others are listed.', 'PartlyAccepted', {
          accepted: 1,
          rejected: [
            { index: 1, code: 'invalid-event', errors: [{ pointer: '/user_id', detail: 'is required' }] },
          ],
          rejected_total: 1,
        }),
        ...problems(...BODY_PROBLEMS, 'invalid-batch', 'empty-batch', 'too-many-events'),
      },
    },
  },
};

const REPORT_PROBLEMS = ['server-busy', 'warehouse-unavailable', 'query-timeout'] as const;

const REPORT_HEADERS = {
  'Daybook-As-Of': {
    description:
      'Every event acknowledged before this moment is in the answer: the present, or earlier when events wait to be ' +
      'loaded. ISO 8601, UTC. From a server on BigQuery: every event that Pub/Sub had delivered into BigQuery at this moment is in ' +
      'the answer; delivery usually takes seconds.',
    schema: { type: 'string', format: 'date-time' },
  },
  'Daybook-Bytes-Billed': {
    description:
      'Bytes that BigQuery bills for this answer: 0 where it was kept from another request. Not sent by an embedded server.',
    schema: { type: 'integer', minimum: 0 },
  },
};

const UNCHANGED = {
  description: 'Nothing changed since the answer that carried the ETag.',
  headers: REPORT_HEADERS,
};

const reportAnswer = (...of: Parameters<typeof answer>): Json => ({
  ...answer(...of),
  headers: REPORT_HEADERS,
});

const REPORTS = {
  '/analytics/daily': {
    get: {
      summary: 'Users and sessions by day',
      description:
        'Without parameters: every day that has an event, newest first, dates as MM/DD/YYYY. With `from` or ' +
        '`to`, the days of the range that have no event are listed with zeros. An acknowledged event is in the ' +
        'answer within a second, as long as fewer come in than can be loaded; on BigQuery within the minutes from one run of its ' +
        'scheduled query to the next, or with `fresh=true` within seconds. `Daybook-As-Of` says how far the answer reaches. The answer has an ETag; with If-None-Match, unchanged numbers are a 304.',
      operationId: 'dailyReport',
      tags: ['Reports'],
      security: [{}, { readKey: [] }],
      parameters: parameters(DAILY_QUERY),
      responses: {
        200: reportAnswer('The numbers.', 'Daily', {
          total_users: 145,
          daily_stats: [
            { date: '12/01/2021', average_session_duration: 45, active_user_count: 100, new_user_count: 45 },
          ],
        }),
        304: UNCHANGED,
        ...problems('invalid-query', 'unauthorized', ...REPORT_PROBLEMS),
      },
    },
  },
  '/analytics/dead-letters': {
    get: {
      summary: 'Events that could not be counted',
      description:
        'Accepted events that the warehouse refused or the journal could not read back, newest first.',
      operationId: 'deadLetters',
      tags: ['Reports'],
      security: [{}, { readKey: [] }],
      parameters: parameters(DEAD_LETTERS_QUERY),
      responses: {
        200: reportAnswer('The dead letters.', 'DeadLetters', { dead_letters: [] }),
        304: UNCHANGED,
        ...problems('invalid-query', 'unauthorized', ...REPORT_PROBLEMS),
      },
    },
  },
};

const page = (summary: string, operationId: string, type: string): Record<'get', Json> => ({
  get: {
    summary,
    operationId,
    tags: ['Operation'],
    security: [{}],
    responses: { 200: { description: summary, content: { [type]: { schema: { type: 'string' } } } } },
  },
});

const OPERATION = {
  '/health/live': {
    get: {
      summary: 'Whether the process answers',
      operationId: 'live',
      tags: ['Operation'],
      security: [{}],
      responses: { 200: answer('It does.', 'Live', { status: 'ok' }) },
    },
  },
  '/health/ready': {
    get: {
      summary: 'Whether events are taken',
      operationId: 'ready',
      tags: ['Operation'],
      security: [{}],
      responses: {
        200: answer('They are.', 'Ready', { status: 'ready', ingest: 'open', warehouse: 'open' }),
        503: answer(
          'They are not: the server is shutting down, or it has lost its data directory.',
          'Ready',
          {
            status: 'draining',
            ingest: 'closed',
            warehouse: 'open',
          },
        ),
      },
    },
  },
  '/metrics': {
    get: {
      summary: 'Metrics for Prometheus',
      operationId: 'metrics',
      tags: ['Operation'],
      security: [{}, { readKey: [] }],
      responses: {
        200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
        ...problems('unauthorized'),
      },
    },
  },
  '/openapi.json': {
    get: {
      summary: 'This document',
      operationId: 'openApi',
      tags: ['Operation'],
      security: [{}],
      responses: { 200: { description: 'OpenAPI 3.1.', content: { 'application/json': { schema: {} } } } },
    },
  },
  '/docs': page('This document, for people', 'docs', 'text/html'),
  '/docs/errors': page('Every error, for people', 'docsErrors', 'text/html'),
};

/** An OpenAPI 3.1 document, as far as the documentation pages read it. */
export interface ApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>>; readonly securitySchemes: Json };
}

/** The API's description, made from the schemas that validate. */
export function openApiDocument(version: string): ApiDocument & { readonly openapi: '3.1.1' } {
  const key = (what: string) => ({
    type: 'http',
    scheme: 'bearer',
    description: `A key that may ${what}. Asked for when such keys are configured.`,
  });
  return {
    openapi: '3.1.1',
    info: {
      title: 'Daybook',
      version,
      description:
        'Events in, exact daily numbers out. A 200 means stored. Every error is a problem document (RFC 9457) ' +
        'with a code to act on.',
    },
    paths: withDefaults({ ...INGEST, ...REPORTS, ...OPERATION }),
    components: {
      schemas: {
        Event: EVENT_SCHEMA,
        Accepted: schema(ACCEPTED),
        PartlyAccepted: schema(PARTLY_ACCEPTED),
        Daily: schema(DAILY),
        DeadLetters: schema(DEAD_LETTERS),
        Problem: { ...schema(PROBLEM), examples: [PROBLEM_EXAMPLE] },
        Live: schema(LIVE),
        Ready: schema(READY),
      },
      securitySchemes: { writeKey: key('send events'), readKey: key('read reports and metrics') },
    },
  };
}
