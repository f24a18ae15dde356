import { datasetOf, visible, type BigqueryClient } from './client.ts';
import { tableId, type BigqueryPlace } from './names.ts';

/** What an operator should know of a place that is there; nothing where it cannot be looked at. */
export async function placeWarnings(
  client: BigqueryClient,
  { place, location }: { readonly place: BigqueryPlace; readonly location: string },
): Promise<string[]> {
  const dataset = datasetOf(client, place);
  const described = await visible(dataset.getMetadata());
  const table = await visible(dataset.table(tableId(place, 'table')).getMetadata());
  const warnings: string[] = [];
  const lies = described?.location ?? location;
  if (lies.toLowerCase() !== location.toLowerCase())
    warnings.push(
      `dataset ${place.dataset} lies in ${lies}: that is used, and not DAYBOOK_BIGQUERY_LOCATION=${location}`,
    );
  // https://cloud.google.com/bigquery/docs/materialized-views-use#incremental_updates
  if (Number(table?.timePartitioning?.expirationMs ?? 0) > 0)
    warnings.push(
      `partitions of ${place.dataset}.${tableId(place, 'table')} expire: numbers of users and sessions change whenever one does, and ` +
        'until the materialized views are refreshed each report reads the whole table',
    );
  return warnings;
}
