/** Regions of BigQuery's location EU: member states of the union. https://cloud.google.com/bigquery/docs/locations */
const EU = [
  'europe-west1',
  'europe-west3',
  'europe-west4',
  'europe-west8',
  'europe-west9',
  'europe-west10',
  'europe-west12',
  'europe-north1',
  'europe-north2',
  'europe-central2',
  'europe-southwest1',
];

/**
 * Regions in which Pub/Sub may keep messages on their way to a dataset in a location, so that they do not leave it; empty: any.
 * https://cloud.google.com/pubsub/docs/resource-location-restriction
 */
export function storageRegions(location: string): readonly string[] {
  const name = location.toLowerCase();
  if (name === 'eu') return EU;
  return name === 'us' ? [] : [name];
}
