import { grants, type Members, type ProvisionStep } from '../../google.ts';
import type { BigqueryClient, BigqueryDataset, BigqueryTable, TableMetadata } from './client.ts';
import { DEAD_LETTER_COLUMNS, EVENT_COLUMNS, type Column } from './columns.ts';
import { addColumns, createDeadLettersTable, createEventsTable, createView, grantOn } from './ddl.ts';
import { tableId, tableSql, type BigqueryPlace, type BigqueryTableName } from './names.ts';
import { versionView, viewDefinitions, viewVersions, type ViewDefinition } from './views.ts';

export interface BigqueryProvisionOptions {
  readonly place: BigqueryPlace;
  readonly location: string;
  readonly timezone: string;
  /** Absent: rights are not looked at, as with an emulator. */
  readonly members?: Members;
}

const WRITER_ROLE = 'roles/bigquery.dataEditor';
const READER_ROLE = 'roles/bigquery.dataViewer';

/** What is missing of dataset, tables, views and rights, in the order in which it has to be made. */
export async function planBigquery(
  client: BigqueryClient,
  options: BigqueryProvisionOptions,
): Promise<readonly ProvisionStep[]> {
  const plan = new Plan(client, options);
  await plan.dataset();
  await plan.table('table', EVENT_COLUMNS, createEventsTable(options.place));
  await plan.table('dead_letters_raw', DEAD_LETTER_COLUMNS, createDeadLettersTable(options.place));
  await plan.views();
  await plan.rights();
  return plan.steps;
}

/** Deletes the dataset with everything in it. */
export async function removeBigquery(client: BigqueryClient, place: BigqueryPlace): Promise<void> {
  const dataset = datasetOf(client, place);
  const [exists] = await dataset.exists();
  if (exists) await dataset.delete({ force: true });
}

/**
 * The number of the client's project, out of the name of BigQuery's own account in it.
 * https://cloud.google.com/bigquery/docs/reference/rest/v2/projects/getServiceAccount
 */
export async function projectNumber(client: BigqueryClient): Promise<string> {
  const { email } = await new Promise<{ email?: string }>((resolve, reject) => {
    client.request({ uri: '/serviceAccount' }, (error, body) =>
      error === null ? resolve(body as { email?: string }) : reject(error),
    );
  });
  const number = /^bq-(\d+)@/.exec(email ?? '')?.[1];
  if (number === undefined)
    throw new Error('the number of the project cannot be found: give --project-number');
  return number;
}

function datasetOf(client: BigqueryClient, { projectId, dataset }: BigqueryPlace): BigqueryDataset {
  return client.dataset(dataset, { projectId });
}

class Plan {
  readonly steps: ProvisionStep[] = [];
  readonly #client: BigqueryClient;
  readonly #options: BigqueryProvisionOptions;

  constructor(client: BigqueryClient, options: BigqueryProvisionOptions) {
    this.#client = client;
    this.#options = options;
  }

  async dataset(): Promise<void> {
    const { place, location } = this.#options;
    const dataset = datasetOf(this.#client, place);
    const [exists] = await dataset.exists();
    if (exists) return;
    const what = `make dataset ${place.dataset} in ${location}`;
    this.steps.push({ what, apply: () => dataset.create({ location }) });
  }

  /** A table that is there keeps its rows and columns; those that are missing are added, as NULLABLE. */
  async table(name: BigqueryTableName, columns: readonly Column[], create: string): Promise<void> {
    const { place } = this.#options;
    const id = tableId(place, name);
    const metadata = await metadataOf(this.#table(name));
    if (metadata === undefined) {
      this.#run(`make table ${id}`, create);
      return;
    }
    const present = new Map(
      (metadata.schema?.fields ?? []).map((field) => [field.name?.toLowerCase(), field.type]),
    );
    const missing = columns.filter((column) => !present.has(column.name));
    for (const column of columns) checkType(id, column, present.get(column.name));
    if (missing.length === 0) return;
    const names = missing.map((column) => column.name).join(', ');
    this.#run(`add to table ${id} the columns ${names}`, addColumns(place, name, missing));
  }

  async views(): Promise<void> {
    const { place, timezone } = this.#options;
    const made = await madeVersions(this.#client, place);
    const wanted = viewVersions(timezone);
    const steps = this.steps.length;
    for (const view of viewDefinitions(place, timezone)) {
      const id = tableId(place, view.name);
      const there = await this.#viewExists(view);
      if (there && made.get(view.name) === wanted.get(view.name)) continue;
      const kind = view.materialized ? 'materialized view' : 'view';
      this.#run(`make ${kind} ${id}${there ? ', which is another' : ''}`, createView(place, view));
    }
    if (this.steps.length === steps) return;
    const version = versionView(place, timezone);
    this.#run(`make view ${tableId(place, version.name)}`, createView(place, version));
  }

  /** A dry run costs nothing and finds what a query would. */
  async #viewExists({ name }: ViewDefinition): Promise<boolean> {
    const query = `SELECT * FROM ${tableSql(this.#options.place, name)}`;
    return isThere(this.#client.createQueryJob({ query, dryRun: true }));
  }

  async rights(): Promise<void> {
    const { place, members } = this.#options;
    if (members === undefined) return;
    for (const name of ['table', 'dead_letters_raw'] as const) {
      const policy = await this.#table(name)
        .getIamPolicy()
        .then(
          ([found]) => found,
          () => ({}),
        );
      if (grants(policy, WRITER_ROLE, members.writer)) continue;
      const what = `give ${WRITER_ROLE} on table ${tableId(place, name)} to ${members.writer}`;
      this.#run(what, grantOn({ place, name }, WRITER_ROLE, members.writer));
    }
    if (members.server !== undefined) await this.#reader(members.server);
  }

  async #reader(server: string): Promise<void> {
    const { place } = this.#options;
    const [metadata] = await datasetOf(this.#client, place)
      .getMetadata()
      .catch(() => [{ access: [] }] as const);
    const email = server.replace(/^[a-zA-Z]+:/, '');
    const known = (metadata.access ?? []).some(
      ({ role, userByEmail, iamMember }) =>
        (userByEmail === email || iamMember === server) && (role === 'READER' || role === READER_ROLE),
    );
    if (known) return;
    this.#run(
      `give ${READER_ROLE} on dataset ${place.dataset} to ${server}`,
      grantOn({ place }, READER_ROLE, server),
    );
  }

  #run(what: string, sql: string): void {
    this.steps.push({
      what,
      sql,
      apply: async () => {
        const [job] = await this.#client.createQueryJob({ query: sql });
        await job.getQueryResults({});
      },
    });
  }

  #table(name: BigqueryTableName): BigqueryTable {
    const { place } = this.#options;
    return datasetOf(this.#client, place).table(tableId(place, name));
  }
}

/** View → the version that it was made in; empty where there is none yet. */
export async function madeVersions(
  client: BigqueryClient,
  place: BigqueryPlace,
): Promise<ReadonlyMap<string, string>> {
  const query = `SELECT view_name, version FROM ${tableSql(place, 'version')}`;
  try {
    const [job] = await client.createQueryJob({ query });
    const [rows] = await job.getQueryResults({});
    return new Map(
      (rows as { view_name: string; version: string }[]).map((row) => [row.view_name, row.version]),
    );
  } catch (error) {
    if (isNotFound(error)) return new Map();
    throw error;
  }
}

async function metadataOf(table: BigqueryTable): Promise<TableMetadata | undefined> {
  try {
    return (await table.getMetadata())[0];
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function isThere(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  const { code, errors = [] } = error as { code?: unknown; errors?: readonly { reason?: string }[] };
  return code === 404 || errors.some(({ reason }) => reason === 'notFound');
}

/** Names of a type in BigQuery's API, by ours. */
const API_TYPES = {
  STRING: ['STRING'],
  INT64: ['INTEGER', 'INT64'],
  TIMESTAMP: ['TIMESTAMP'],
  // A string holds the same text.
  JSON: ['JSON', 'STRING'],
} as const;

/** @throws Error when a column that is there cannot hold what is written into it */
function checkType(table: string, { name, type }: Column, present: string | undefined): void {
  if (present === undefined || (API_TYPES[type] as readonly string[]).includes(present)) return;
  throw new Error(
    `${table}.${name} is ${present} and must be ${type}: use another table, or change the column`,
  );
}
