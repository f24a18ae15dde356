import { datasetOf, type BigqueryClient } from './client.ts';
import { isDenied, isNotFound } from './errors.ts';
import { tableId, type BigqueryPlace, type BigqueryTableName } from './names.ts';

/** The right to read a table or view. https://cloud.google.com/bigquery/docs/access-control#bq-permissions */
const READ = 'bigquery.tables.getData';

/** What makes everything that can be missing. */
const PROVISION = '"daybook gcp provision" makes it';

interface Asked {
  readonly place: BigqueryPlace;
  /** Project that queries run in. */
  readonly projectId: string;
}

/**
 * What keeps this account from asking for reports, one line each: rights by their names, and what is not there. Asks nothing that
 * needs more rights than reports do.
 */
export async function readFaults(client: BigqueryClient, { place, projectId }: Asked): Promise<string[]> {
  const faults: string[] = [];
  if (await isRefused(client.createQueryJob({ query: 'SELECT 1', dryRun: true }))) {
    faults.push(
      `the right bigquery.jobs.create on project ${projectId} is missing: ` +
        `gcloud projects add-iam-policy-binding ${projectId} --role=roles/bigquery.jobUser --member=MEMBER`,
    );
  }
  const dataset = datasetOf(client, place);
  if (await isMissing(dataset.getMetadata())) {
    return [...faults, `dataset ${place.projectId}.${place.dataset} is not there: ${PROVISION}`];
  }
  for (const name of ['table', 'daily'] as const) {
    const fault = await tableFault(client, place, name);
    if (fault !== undefined) faults.push(fault);
  }
  return faults;
}

/**
 * Of a table that is missing, the answer to a question for rights is that there are none; so it is looked for.
 * https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/testIamPermissions
 */
async function tableFault(
  client: BigqueryClient,
  place: BigqueryPlace,
  name: BigqueryTableName,
): Promise<string | undefined> {
  const table = datasetOf(client, place).table(tableId(place, name));
  const whole = `${place.projectId}.${place.dataset}.${tableId(place, name)}`;
  const kind = name === 'table' ? 'table' : 'view';
  if (await isMissing(table.getMetadata())) return `${kind} ${whole} is not there: ${PROVISION}`;
  const granted = await table.testIamPermissions([READ]).then(
    ([{ permissions }]) => permissions?.includes(READ) === true,
    // An emulator does not know the question.
    (error: unknown) => !isDenied(error),
  );
  if (granted) return undefined;
  return (
    `the right ${READ} on ${kind} ${whole} is missing: give roles/bigquery.dataViewer on dataset ${place.projectId}:${place.dataset}, ` +
    'as "daybook gcp provision --server MEMBER" does'
  );
}

function isRefused(asked: Promise<unknown>): Promise<boolean> {
  return asked.then(() => false, isDenied);
}

/** Also whoever may not look is told that something is there: the right that is missing is named then. */
function isMissing(asked: Promise<unknown>): Promise<boolean> {
  return asked.then(() => false, isNotFound);
}
