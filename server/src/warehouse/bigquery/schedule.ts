import type { ProvisionStep } from '../../google.ts';
import type { BigqueryClient, RequestOptions } from './client.ts';
import { rewriteDailyTable } from './daily-table.ts';
import { tableId, type BigqueryPlace } from './names.ts';

/*
 * The scheduled query, by REST through BigQuery's own client: it brings the account, and its scope is one of those that this service
 * takes. https://cloud.google.com/bigquery/docs/reference/datatransfer/rest/v1/projects.locations.transferConfigs
 */

const SERVICE = 'https://bigquerydatatransfer.googleapis.com/v1';

export interface ScheduleOptions {
  readonly place: BigqueryPlace;
  readonly timezone: string;
  /** Project that the query runs in and is billed to. */
  readonly projectId: string;
  /** Where the dataset lies. */
  readonly location: string;
  /** Email of the account that the query runs as. */
  readonly account: string;
  readonly minutes: number;
}

/** As far as it is looked at. https://cloud.google.com/bigquery/docs/reference/datatransfer/rest/v1/projects.locations.transferConfigs#TransferConfig */
interface TransferConfig {
  readonly name?: string;
  readonly displayName?: string;
  readonly schedule?: string;
  readonly disabled?: boolean;
  readonly params?: { readonly query?: string };
}

/** What happens without: reports go on, at another price. */
export const WITHOUT_SCHEDULE = 'until then each report reads the views';

/**
 * Makes the scheduled query, or changes it to this version's; nothing where it is there. Where it cannot be looked at, making it says
 * why. It has no destination dataset: the statement itself says what is written.
 */
export async function planSchedule(
  client: BigqueryClient,
  options: ScheduleOptions,
): Promise<readonly ProvisionStep[]> {
  const { place, timezone, projectId, account, minutes } = options;
  const parent = `projects/${projectId}/locations/${options.location.toLowerCase()}`;
  const displayName = `daybook: ${place.dataset}.${tableId(place, 'daily_table')}`;
  const query = rewriteDailyTable(place, timezone);
  const wanted = { displayName, schedule: `every ${minutes} minutes`, params: { query }, disabled: false };
  const made = await find(client, parent, displayName).catch(() => undefined);
  const same = made?.schedule === wanted.schedule && made.params?.query === query && made.disabled !== true;
  if (same) return [];
  const as = `serviceAccountName=${encodeURIComponent(account)}`;
  return [
    {
      what: `${made === undefined ? 'make' : 'change'} the scheduled query "${displayName}", ${wanted.schedule}, as ${account}`,
      sql: query,
      optional: WITHOUT_SCHEDULE,
      apply: () =>
        made?.name === undefined
          ? ask(client, {
              method: 'POST',
              uri: `${SERVICE}/${parent}/transferConfigs?${as}`,
              json: { ...wanted, dataSourceId: 'scheduled_query' },
            })
          : ask(client, {
              method: 'PATCH',
              uri: `${SERVICE}/${made.name}?updateMask=schedule,params,disabled,service_account_name&${as}`,
              json: wanted,
            }),
    },
  ];
}

/** Pages of scheduled queries that are looked through. */
const PAGES_MAX = 20;

async function find(
  client: BigqueryClient,
  parent: string,
  displayName: string,
): Promise<TransferConfig | undefined> {
  let token = '';
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const uri = `${SERVICE}/${parent}/transferConfigs?dataSourceIds=scheduled_query&pageSize=1000${token}`;
    const { transferConfigs = [], nextPageToken } = (await ask(client, { uri })) as {
      transferConfigs?: TransferConfig[];
      nextPageToken?: string;
    };
    const found = transferConfigs.find((config) => config.displayName === displayName);
    if (found !== undefined || (nextPageToken ?? '') === '') return found;
    token = `&pageToken=${encodeURIComponent(nextPageToken!)}`;
  }
  return undefined;
}

function ask(client: BigqueryClient, options: RequestOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.request(options, (error, body) => (error === null ? resolve(body ?? {}) : reject(error)));
  });
}
