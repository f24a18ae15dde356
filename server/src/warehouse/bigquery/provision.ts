import { isDeepStrictEqual } from 'node:util';
import { grants, type Members, type ProvisionStep } from '../../google.ts';
import {
  datasetOf,
  locationOf,
  type BigqueryClient,
  type BigqueryTable,
  type TableMetadata,
} from './client.ts';
import { accessMember, READER_ROLE, readers } from './access.ts';
import { DEAD_LETTER_COLUMNS, EVENT_COLUMNS, type Column } from './columns.ts';
import { DAILY_TABLE_COLUMNS } from './daily-table.ts';
import {
  addColumns,
  createDailyTable,
  createDeadLettersTable,
  createEventsTable,
  createView,
  dropNotNull,
  grantOn,
} from './ddl.ts';
import { isNotFound } from './errors.ts';
import { tableId, tableSql, type BigqueryPlace, type BigqueryTableName } from './names.ts';
import { planSchedule, WITHOUT_SCHEDULE } from './schedule.ts';
import { tableChanges } from './table-check.ts';
import { versionView, viewDefinitions, viewVersions, type ViewDefinition } from './views.ts';

export interface BigqueryProvisionOptions {
  readonly place: BigqueryPlace;
  readonly location: string;
  readonly timezone: string;
  /** Absent: rights are not looked at, as with an emulator. */
  readonly members?: Members;
  /** Project that queries run in. */
  readonly projectId: string;
  /** From one run of the scheduled query to the next. */
  readonly dailyMinutes: number;
}

type Optional = Pick<ProvisionStep, 'optional'>;

const WRITER_ROLE = 'roles/bigquery.dataEditor';

/** What is missing of dataset, tables, views and rights, in the order in which it has to be made. */
export async function planBigquery(
  client: BigqueryClient,
  options: BigqueryProvisionOptions,
): Promise<readonly ProvisionStep[]> {
  // A dataset cannot be moved: everything else is made where it lies.
  const location = (await locationOf(client, options.place)) ?? options.location;
  const plan = new Plan(client, { ...options, location });
  await plan.dataset();
  await plan.table('table', EVENT_COLUMNS, createEventsTable(options.place));
  await plan.table('dead_letters_raw', DEAD_LETTER_COLUMNS, createDeadLettersTable(options.place));
  await plan.views();
  await plan.table('daily_table', DAILY_TABLE_COLUMNS, createDailyTable(options.place));
  await plan.rights();
  await plan.schedule();
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

  /** A table that is there keeps its rows and columns; those that are missing are added, as NULLABLE. @throws Error, see `tableChanges` */
  async table(name: BigqueryTableName, columns: readonly Column[], create: string): Promise<void> {
    const { place } = this.#options;
    const id = tableId(place, name);
    const metadata = await metadataOf(this.#table(name));
    if (metadata === undefined) {
      this.#run(`make table ${id}`, create);
      return;
    }
    const { missing, relaxed } = tableChanges(id, metadata, columns);
    for (const { name: column } of relaxed)
      this.#run(`let column ${column} of table ${id} be NULL`, dropNotNull(place, name, column));
    if (missing.length === 0) return;
    const names = missing.map((column) => column.name).join(', ');
    this.#run(`add to table ${id} the columns ${names}`, addColumns(place, name, missing));
  }

  async views(): Promise<void> {
    const { place, timezone } = this.#options;
    const made = await madeVersions(this.#client, place, this.#options.location);
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
    const { location } = this.#options;
    return isThere(this.#client.createQueryJob({ query, dryRun: true, location }));
  }

  async rights(): Promise<void> {
    const { members } = this.#options;
    if (members === undefined) return;
    for (const name of ['table', 'dead_letters_raw'] as const) await this.#writer(name, members.writer);
    if (members.server !== undefined) await this.#reader(members.server);
  }

  /** The scheduled query and what its account needs: it reads the dataset and writes one table. */
  async schedule(): Promise<void> {
    const { members, dailyMinutes: minutes, ...options } = this.#options;
    const scheduler = members?.scheduler;
    if (scheduler === undefined) return;
    const optional = { optional: WITHOUT_SCHEDULE };
    await this.#reader(scheduler, optional);
    await this.#writer('daily_table', scheduler, optional);
    const account = scheduler.replace(/^serviceAccount:/, '');
    this.steps.push(...(await planSchedule(this.#client, { ...options, account, minutes })));
  }

  async #writer(name: BigqueryTableName, member: string, more: Optional = {}): Promise<void> {
    const { place } = this.#options;
    const policy = await this.#table(name)
      .getIamPolicy()
      .then(
        ([found]) => found,
        () => ({}),
      );
    if (grants(policy, WRITER_ROLE, member)) return;
    const what = `give ${WRITER_ROLE} on table ${tableId(place, name)} to ${member}`;
    this.#run(what, grantOn({ place, name }, WRITER_ROLE, member), more);
  }

  async #reader(server: string, more: Optional = {}): Promise<void> {
    const { place } = this.#options;
    const [metadata] = await datasetOf(this.#client, place)
      .getMetadata()
      .catch(() => [{ access: [] }] as const);
    const member = accessMember(server);
    if (readers(metadata).some((entry) => isDeepStrictEqual(entry, member))) return;
    this.steps.push({
      ...more,
      what: `give ${READER_ROLE} on dataset ${place.dataset} to ${server}`,
      apply: async () => {
        const dataset = datasetOf(this.#client, place);
        const [{ access = [], etag }] = await dataset.getMetadata();
        // With the etag, a change that another made meanwhile is not undone: this one fails then.
        const entry = { role: READER_ROLE, ...member };
        await dataset.setMetadata({ access: [...access, entry], ...(etag === undefined ? {} : { etag }) });
      },
    });
  }

  #run(what: string, sql: string, more: Optional = {}): void {
    this.steps.push({
      ...more,
      what,
      sql,
      apply: async () => {
        const [job] = await this.#client.createQueryJob({ query: sql, location: this.#options.location });
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
  location: string,
): Promise<ReadonlyMap<string, string>> {
  const query = `SELECT view_name, version FROM ${tableSql(place, 'version')}`;
  try {
    const [job] = await client.createQueryJob({ query, location });
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
