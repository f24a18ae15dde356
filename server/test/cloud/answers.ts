import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { apiSchema, DEAD_LETTER_COLUMNS, EVENT_COLUMNS } from '../../src/warehouse/bigquery/columns.ts';
import { DAILY_TABLE_COLUMNS } from '../../src/warehouse/bigquery/daily-table.ts';
import { viewVersions } from '../../src/warehouse/bigquery/views.ts';

/*
 * BigQuery's REST API, as far as what Google documents of its refusals: no emulator refuses for a missing right, for another
 * location, or for an etag that is old. Queries are not evaluated; that of the versions is answered.
 * https://cloud.google.com/bigquery/docs/error-messages
 */

/** What each job is billed, in bytes: the least there is. */
export const BYTES_BILLED = '10485760';

/** A project as this server answers for it; tests change it while it answers. */
export interface AnsweredProject {
  readonly projectId: string;
  /** Undefined: the dataset is not there. */
  dataset: { location: string; etag: string; access: Record<string, string>[] } | undefined;
  /** Table → its metadata, e.g. schema and partitioning. */
  readonly tables: Map<string, Record<string, unknown>>;
  /** Rights that are refused. */
  readonly refused: Set<string>;
}

/** A request as it came. */
export interface Heard {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

export interface Answers {
  readonly project: AnsweredProject;
  readonly heard: readonly Heard[];
  /** For BIGQUERY_EMULATOR_HOST. */
  readonly baseUrl: string;
  stop(): Promise<void>;
}

type Answer = readonly [number, object];

const fault = (code: number, reason: string, message: string): Answer => [
  code,
  { error: { code, message, errors: [{ message, domain: 'global', reason }] } },
];

/** Table and views as provisioning makes them. */
export function madeTables(): AnsweredProject['tables'] {
  const views = [...viewVersions('UTC').keys()].map((name) => SUFFIXES[name] ?? `_${name}`);
  return new Map<string, Record<string, unknown>>([
    ['events', { schema: { fields: apiSchema(EVENT_COLUMNS) } }],
    ['events_daily_table', { schema: { fields: apiSchema(DAILY_TABLE_COLUMNS) } }],
    ['events_dead_letters_raw', { schema: { fields: apiSchema(DEAD_LETTER_COLUMNS) } }],
    ...['_version', ...views].map((suffix) => [`events${suffix}`, {}] as const),
  ]);
}

const SUFFIXES: Readonly<Record<string, string>> = { events: '_distinct', event_rows: '_rows' };

/** Starts with a dataset in EU that holds everything. */
export async function startAnswers(): Promise<Answers> {
  const project: AnsweredProject = {
    projectId: 'acme-web',
    dataset: { location: 'EU', etag: 'etag-1', access: [] },
    tables: madeTables(),
    refused: new Set(),
  };
  const heard: Heard[] = [];
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const text = (await request.toArray()).join('');
    const { pathname } = new URL(request.url ?? '', 'http://host');
    const { method = '', headers } = request;
    const one = {
      method,
      path: pathname,
      headers,
      body: JSON.parse(text === '' ? '{}' : text) as Record<string, unknown>,
    };
    heard.push(one);
    const [status, body] = route(project, one);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    project,
    heard,
    baseUrl: `http://127.0.0.1:${port}/bigquery/v2`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function route(project: AnsweredProject, { method, path, headers, body }: Heard): Answer {
  if (path.endsWith('/jobs')) return insertJob(project, body);
  if (/\/jobs\/[^/]+$/.test(path))
    return [200, { statistics: { query: { totalBytesBilled: BYTES_BILLED } } }];
  if (/\/queries\//.test(path)) return [200, versionRows()];
  const [, dataset, table, action] =
    /\/datasets\/([^/]+)(?:\/tables\/([^/:]+))?(?::(\w+))?$/.exec(path) ?? [];
  if (dataset === undefined) return fault(404, 'notFound', `Not found: ${path}`);
  if (project.dataset === undefined) {
    return fault(404, 'notFound', `Not found: Dataset ${project.projectId}:${dataset}`);
  }
  if (table === undefined) return datasetAnswer(project, method, { headers, body });
  // A question for rights to what is missing is answered, with none.
  const there = project.tables.get(table);
  if (action === 'testIamPermissions') {
    const permissions = (body['permissions'] as string[]).filter(
      (right) => there !== undefined && !project.refused.has(right),
    );
    return [200, { permissions }];
  }
  if (there === undefined)
    return fault(404, 'notFound', `Not found: Table ${project.projectId}:${dataset}.${table}`);
  if (action === 'getIamPolicy') return [200, { bindings: [] }];
  return [200, { id: table, ...there }];
}

function datasetAnswer(
  project: AnsweredProject,
  method: string,
  { headers, body }: Pick<Heard, 'headers' | 'body'>,
): Answer {
  const { dataset } = project;
  if (dataset === undefined || project.refused.has('bigquery.datasets.get')) {
    return fault(403, 'accessDenied', 'Access Denied: Permission bigquery.datasets.get denied on dataset');
  }
  if (method === 'PATCH') {
    if (headers['if-match'] !== dataset.etag)
      return fault(412, 'conditionNotMet', 'Precondition check failed.');
    project.dataset = { ...dataset, ...body, etag: 'etag-2' };
  }
  return [200, { ...project.dataset }];
}

function insertJob(project: AnsweredProject, body: Record<string, unknown>): Answer {
  const { projectId, dataset, tables, refused } = project;
  const { jobReference, configuration } = body as unknown as {
    jobReference: { location?: string };
    configuration: { query: { query: string }; dryRun?: boolean };
  };
  if (refused.has('bigquery.jobs.create')) {
    const message = `Access Denied: Project ${projectId}: User does not have bigquery.jobs.create permission in project ${projectId}.`;
    return fault(403, 'accessDenied', message);
  }
  const { query } = configuration.query;
  const [, name, table = ''] = /FROM `[^.`]+\.([^.`]+)\.([^`]+)`/.exec(query) ?? [];
  if (name !== undefined) {
    const location = jobReference.location ?? 'US';
    if (location !== dataset?.location) {
      return fault(
        404,
        'notFound',
        `Not found: Dataset ${projectId}:${name} was not found in location ${location}`,
      );
    }
    // A view is there without the table that it reads, but cannot be asked. That of the versions reads none.
    const missing = [table, 'events'].find((each) => !tables.has(each) && table !== 'events_version');
    if (missing !== undefined)
      return fault(404, 'notFound', `Not found: Table ${projectId}:${name}.${missing}`);
    if (refused.has('bigquery.tables.getData')) {
      const message = `Access Denied: Table ${projectId}:${name}.${table}: User does not have permission to query table ${projectId}:${name}.${table}, or perhaps it does not exist.`;
      return fault(403, 'accessDenied', message);
    }
  }
  return [
    200,
    { jobReference: { projectId, jobId: 'job', ...jobReference }, configuration, status: { state: 'DONE' } },
  ];
}

/** The answer to the query of versions, as jobs.getQueryResults has it. */
function versionRows(): object {
  const column = (name: string) => ({ name, type: 'STRING', mode: 'NULLABLE' });
  return {
    jobComplete: true,
    schema: { fields: [column('view_name'), column('version')] },
    rows: [...viewVersions('UTC')].map(([name, version]) => ({ f: [{ v: name }, { v: version }] })),
  };
}
