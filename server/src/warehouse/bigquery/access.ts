import type { DatasetMetadata } from './client.ts';

export const READER_ROLE = 'roles/bigquery.dataViewer';

/**
 * An IAM member as the access list of a dataset names it. By SQL a right cannot be given to a principal of a workload identity pool:
 * GRANT takes users, groups, service accounts and domains only.
 * https://cloud.google.com/bigquery/docs/reference/standard-sql/data-control-language#user_list
 * https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets#Dataset.FIELDS.access
 */
export function accessMember(member: string): Record<string, string> {
  const [, kind = '', name = ''] = /^([a-zA-Z]+):(.*)$/.exec(member) ?? [];
  if (kind === 'user' || kind === 'serviceAccount') return { userByEmail: name };
  if (kind === 'group') return { groupByEmail: name };
  return kind === 'domain' ? { domain: name } : { iamMember: member };
}

/** Who may read a dataset, each without the role. BigQuery answers with its own name of the role. */
export function readers({ access = [] }: DatasetMetadata): readonly object[] {
  return access
    .filter(({ role }) => role === 'READER' || role === READER_ROLE)
    .map(({ role: _role, ...member }) => member);
}
