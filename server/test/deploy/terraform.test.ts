import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ENVIRONMENT } from '../../src/config.ts';
import { refreshViews } from '../../src/warehouse/bigquery/ddl.ts';
import { hcl } from './parsers.ts';
import { read, ROOT } from './tool.ts';

/* The module, read by HashiCorp's own parser. Without the provider nothing can be planned: what is checked is that each
   resource is there, says what it must, uses attributes that the provider has, and refers to what exists. */

const MODULE = join(ROOT, 'deploy/terraform');
const FILES = readdirSync(MODULE).filter((file) => file.endsWith('.tf'));

type Block = Record<string, unknown>;
type Resources = Record<string, Record<string, Block[]>>;

interface Module {
  readonly resource: Resources;
  readonly data: Resources;
  readonly variable: Record<string, Block[]>;
  readonly output: Record<string, Block[]>;
}

let module: Module;

beforeAll(async () => {
  const merged: Record<string, Record<string, Block>> = {};
  for (const file of FILES) {
    const parsed = (await hcl().parse(file, readFileSync(join(MODULE, file), 'utf8'))) as Record<
      string,
      Block
    >;
    for (const [kind, blocks] of Object.entries(parsed)) {
      if (Array.isArray(blocks)) continue;
      merged[kind] ??= {};
      for (const [type, named] of Object.entries(blocks))
        merged[kind][type] = { ...merged[kind][type], ...(named as Block) };
      if (kind === 'variable' || kind === 'output') Object.assign(merged[kind], blocks);
    }
  }
  module = merged as unknown as Module;
});

const resource = (type: string, name: string): Block => {
  const block = module.resource[type]?.[name]?.[0];
  expect(block, `${type}.${name}`).toBeDefined();
  return block!;
};
const block = (parent: Block, name: string): Block => (parent[name] as Block[])[0]!;

/** Every string of a value, wherever it lies. */
function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(strings);
}

/** Attributes that the provider knows, of the resources that are used here (hashicorp/google 6 and 7). */
const KNOWN: Record<string, string> = {
  google_project_service: 'project service disable_on_destroy',
  google_bigquery_dataset: 'project dataset_id location description labels delete_contents_on_destroy',
  google_bigquery_table:
    'project dataset_id table_id description schema clustering time_partitioning labels ' +
    'deletion_protection materialized_view view',
  google_bigquery_data_transfer_config:
    'project location display_name data_source_id schedule service_account_name params',
  google_pubsub_topic: 'project name labels dynamic',
  google_pubsub_subscription:
    'project name topic labels message_retention_duration bigquery_config ' +
    'ack_deadline_seconds dead_letter_policy retry_policy expiration_policy',
  google_service_account: 'project account_id display_name',
  google_service_account_iam_member: 'service_account_id role member',
  google_bigquery_table_iam_member: 'project dataset_id table_id role member',
  google_bigquery_dataset_iam_member: 'project dataset_id role member',
  google_pubsub_topic_iam_member: 'project topic role member',
  google_pubsub_subscription_iam_member: 'project subscription role member',
  google_project_iam_member: 'project role member',
  time_sleep: 'create_duration',
  google_monitoring_alert_policy:
    'project display_name combiner notification_channels user_labels conditions documentation',
  google_billing_budget: 'billing_account display_name budget_filter amount dynamic all_updates_rule',
};

/** Every view, from the files that the server's sources make. */
const VIEWS = readdirSync(join(MODULE, 'generated'))
  .filter((file) => file.endsWith('.sql') && file !== 'daily_table.sql')
  .map((file) => file.replace('.sql', ''));

describe('the Terraform module', () => {
  it('uses resources and attributes that the provider has', () => {
    for (const [type, named] of Object.entries(module.resource)) {
      expect(KNOWN[type], type).toBeDefined();
      const known = [...KNOWN[type]!.split(' '), 'for_each', 'count', 'depends_on', 'lifecycle'];
      for (const [name, [attributes]] of Object.entries(named)) {
        const unknown = Object.keys(attributes!).filter((attribute) => !known.includes(attribute));
        expect(unknown, `${type}.${name}`).toEqual([]);
      }
    }
  });

  it('refers only to what is declared', () => {
    const text = FILES.map((file) => readFileSync(join(MODULE, file), 'utf8')).join('\n');
    for (const [, type, name] of text.matchAll(/(?<!data\.)\b(google_\w+|time_sleep)\.([a-z]\w*)/g)) {
      const reference = `${type}.${name}`;
      expect(module.resource[type!]?.[name!] ?? module.data[type!]?.[name!], reference).toBeDefined();
    }
    for (const [, name] of text.matchAll(/\bvar\.(\w+)/g)) expect(module.variable[name!], name).toBeDefined();
    const used = new Set([...text.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name));
    expect(Object.keys(module.variable).filter((name) => !used.has(name))).toEqual([]);
  });

  it('has a description and, where a value can be wrong, a validation for every variable', () => {
    const free = ['kubernetes_service_account', 'deletion_protection', 'enable_apis', 'labels'];
    for (const [name, [variable]] of Object.entries(module.variable)) {
      expect(variable, name).toHaveProperty('description');
      expect(variable, name).toHaveProperty('type');
      if (!free.includes(name)) expect(variable, name).toHaveProperty('validation');
      expect(read('deploy/terraform/README.md')).toContain(`\`${name}\``);
    }
  });

  it('reads files that exist, and leaves no placeholder open', () => {
    for (const view of VIEWS) {
      const sql = readFileSync(join(MODULE, 'generated', `${view}.sql`), 'utf8');
      const placeholders = new Set([...sql.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
      expect(['project', 'dataset', 'table', 'timezone']).toEqual(expect.arrayContaining([...placeholders]));
      expect(sql.replaceAll(/\$\{\w+\}/g, '')).not.toMatch(/[$%]\{/);
      expect(sql.trim(), view).toMatch(/^(--.*\n)*\s*(SELECT|WITH)\b/i);
    }
    for (const name of ['events', 'dead_letters_raw', 'daily_table']) {
      const file = join(MODULE, 'generated', `${name}.schema.json`);
      expect(existsSync(file), file).toBe(true);
      expect(Array.isArray(JSON.parse(readFileSync(file, 'utf8')))).toBe(true);
      expect(resource('google_bigquery_table', name)['schema']).toContain(`/${name}.schema.json`);
    }
  });

  it('makes every view, and each after what it reads', () => {
    const made = new Map<string, string>();
    for (const [name, [table]] of Object.entries(module.resource['google_bigquery_table']!)) {
      const each = table!['for_each'];
      const names = typeof each === 'string' ? [...each.matchAll(/"(\w+)"/g)].map(([, view]) => view!) : [];
      if (typeof each === 'object') names.push(...Object.keys(each as object));
      if (name === 'version') names.push(name);
      for (const view of names) made.set(view, name);
    }
    expect([...made.keys()].sort()).toEqual([...VIEWS].sort());
    for (const [view, name] of made) {
      const sql = readFileSync(join(MODULE, 'generated', `${view}.sql`), 'utf8');
      const after = strings(module.resource['google_bigquery_table']![name]![0]!['depends_on']).join(' ');
      for (const [, read_] of sql.matchAll(/\$\{table\}_(\w+)`/g)) {
        const source = made.get(read_!) ?? read_!;
        expect(after, `${view} reads ${read_}`).toContain(`google_bigquery_table.${source}}`);
      }
    }
  });

  it('keeps the events by day of arrival, and protects what cannot be made again', () => {
    const events = resource('google_bigquery_table', 'events');
    expect(block(events, 'time_partitioning')).toEqual({ type: 'DAY', field: 'received_at' });
    expect(events['clustering']).toEqual(['event_time']);
    const dead = resource('google_bigquery_table', 'dead_letters_raw');
    expect(block(dead, 'time_partitioning')).toEqual({ type: 'DAY', field: 'publish_time' });
    for (const name of ['events', 'dead_letters_raw']) {
      const { deletion_protection: protection } = resource('google_bigquery_table', name);
      expect(protection).toBe('${var.deletion_protection}');
    }
  });

  it('lets unknown fields go to the dead letters instead of vanishing', () => {
    const subscription = resource('google_pubsub_subscription', 'events');
    expect(subscription['name']).toBe('${var.topic}-bigquery');
    expect(block(subscription, 'bigquery_config')).toMatchObject({
      use_table_schema: true,
      write_metadata: false,
      drop_unknown_fields: false,
    });
    expect(block(subscription, 'dead_letter_policy')['dead_letter_topic']).toContain(
      'google_pubsub_topic.dead_letters',
    );
    expect(block(subscription, 'retry_policy')).toHaveProperty('minimum_backoff');
  });

  it('keeps dead letters with the reason that comes as an attribute', () => {
    const subscription = resource('google_pubsub_subscription', 'dead_letters');
    expect(subscription['name']).toBe('${var.topic}-dead-letters-bigquery');
    expect(block(subscription, 'bigquery_config')).toMatchObject({
      use_table_schema: false,
      write_metadata: true,
    });
    expect(subscription).not.toHaveProperty('dead_letter_policy');
  });

  it('never lets a subscription expire, and makes it after the rights it needs', () => {
    for (const [name, [subscription]] of Object.entries(module.resource['google_pubsub_subscription']!)) {
      expect(block(subscription!, 'expiration_policy')).toEqual({ ttl: '' });
      expect(strings(subscription!['depends_on']), name).toEqual(['${time_sleep.rights_hold}']);
    }
  });

  it('row 10: waits until the rights hold that a subscription needs, and not only until they are given', () => {
    const rights = resource('time_sleep', 'rights_hold');
    expect(Number(/^(\d+)s$/.exec(String(rights['create_duration']))?.[1])).toBeGreaterThanOrEqual(60);
    expect(strings(rights['depends_on']).toSorted()).toEqual([
      '${google_bigquery_table_iam_member.writer_dead_letters}',
      '${google_bigquery_table_iam_member.writer_events}',
      '${google_pubsub_topic_iam_member.pubsub_agent_publishes_dead_letters}',
      '${google_service_account_iam_member.pubsub_agent_acts_as_writer}',
    ]);
    expect(read('deploy/terraform/versions.tf')).toContain('hashicorp/time');
  });

  it('tells through the channels, each with what to do, of what the guide says to alert on', () => {
    const text = read('deploy/terraform/alerts.tf');
    const metrics = [...text.matchAll(/metric\.type = \\"([\w./]+)\\"/g)].map(([, metric]) => metric!);
    expect(metrics.toSorted()).toEqual([
      'bigquerydatatransfer.googleapis.com/transfer_config/completed_runs',
      'loadbalancing.googleapis.com/https/request_count',
      'pubsub.googleapis.com/subscription/dead_letter_message_count',
      'pubsub.googleapis.com/subscription/oldest_unacked_message_age',
      'pubsub.googleapis.com/subscription/oldest_unacked_message_age',
      'pubsub.googleapis.com/topic/send_request_count',
      'pubsub.googleapis.com/topic/send_request_latencies',
    ]);
    expect(text.match(/^ {6}help {6}= "/gm)).toHaveLength(metrics.length);
    const guide = read('docs/operations-gke.md');
    for (const metric of metrics.filter((name) => !name.startsWith('loadbalancing')))
      expect(guide, metric).toContain(metric.replace(/^\w+\.googleapis\.com\//, ''));
    const policy = resource('google_monitoring_alert_policy', 'this');
    expect(policy['notification_channels']).toBe('${var.notification_channels}');
    expect(block(block(block(policy, 'conditions'), 'condition_threshold'), 'aggregations')).toHaveProperty(
      'per_series_aligner',
    );
  });

  it('has a budget for the project alone, where one is asked for', () => {
    const budget = resource('google_billing_budget', 'this');
    expect(budget['count']).toBe('${var.budget == null ? 0 : 1}');
    expect(block(budget, 'budget_filter')).toEqual({
      projects: ['projects/${data.google_project.this.number}'],
    });
  });

  it('keeps messages where the dataset lies', () => {
    for (const name of ['events', 'dead_letters']) {
      const dynamic = resource('google_pubsub_topic', name)['dynamic'] as Record<string, Block[]>;
      const content = block(dynamic['message_storage_policy']![0]!, 'content');
      expect(content).toEqual({ allowed_persistence_regions: '${message_storage_policy.value}' });
    }
  });

  it('makes the table of days by a scheduled query with an account of its own, which writes that table alone', () => {
    const query = resource('google_bigquery_data_transfer_config', 'daily');
    expect(query).toMatchObject({
      count: '${var.daily_minutes == null ? 0 : 1}',
      location: '${var.location}',
      data_source_id: 'scheduled_query',
      schedule: 'every ${var.daily_minutes} minutes',
      service_account_name: '${google_service_account.daily.email}',
    });
    // A MERGE says itself what it writes, and with a destination it would be refused.
    expect(query).not.toHaveProperty('destination_dataset_id');
    expect((query['params'] as { query: string }).query).toContain('/daily_table.sql');
    const sql = readFileSync(join(MODULE, 'generated', 'daily_table.sql'), 'utf8');
    expect(sql).toMatch(/^MERGE `\$\{project\}\.\$\{dataset\}\.\$\{table\}_daily_table` AS kept\nUSING/);
    const placeholders = new Set([...sql.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
    expect(placeholders).toEqual(new Set(['project', 'dataset', 'table', 'timezone']));
    for (const made of ['views_of_views', 'daily_table'])
      expect(strings(query['depends_on'])).toContain(`\${google_bigquery_table.${made}}`);
    expect(strings(query['depends_on'])).toContain('${time_sleep.daily_rights_hold}');
    expect(strings(resource('time_sleep', 'daily_rights_hold')['depends_on']).toSorted()).toEqual([
      '${google_bigquery_dataset_iam_member.daily_reads}',
      '${google_bigquery_table_iam_member.daily_writes}',
      '${google_project_iam_member.daily_runs_queries}',
    ]);
    const written = resource('google_bigquery_table_iam_member', 'daily_writes')['table_id'];
    expect(written).toBe('${google_bigquery_table.daily_table.table_id}');
    expect(read('deploy/terraform/alerts.tf')).toContain(
      'google_bigquery_data_transfer_config.daily[0].name',
    );
  });

  it('row 10: gives no view a staleness of its own', () => {
    for (const [name, [table]] of Object.entries(module.resource['google_bigquery_table']!))
      expect(table, name).not.toHaveProperty('max_staleness');
  });

  it('row 8: the guide refreshes every materialized view after it deletes', () => {
    const guide = read('docs/operations-gke.md');
    const place = { projectId: 'example-project', dataset: 'daybook', table: 'events' };
    expect(refreshViews(place)).toHaveLength(3);
    for (const refresh of refreshViews(place)) {
      expect(guide.indexOf(`${refresh};`), refresh).toBeGreaterThan(
        guide.indexOf('DELETE FROM daybook.events '),
      );
    }
  });

  it('row 9: enables every API that it uses, also that which finds the number of the project', () => {
    const apis = strings(resource('google_project_service', 'this')['for_each']).join();
    for (const api of ['cloudresourcemanager', 'pubsub', 'bigquery', 'bigquerydatatransfer', 'iam'])
      expect(apis).toContain(`"${api}.googleapis.com"`);
    const guide = read('docs/operations-gke.md');
    const enabled = /gcloud services enable((?:.*\\\n)*.*)/.exec(guide)?.[1] ?? '';
    // iamcredentials and sts: the release workflow's token becomes that of a service account.
    for (const api of [
      'cloudresourcemanager',
      'pubsub',
      'bigquery',
      'bigquerydatatransfer',
      'iam',
      'iamcredentials',
      'sts',
      'container',
      'artifactregistry',
    ])
      expect(enabled, api).toContain(`${api}.googleapis.com`);
  });

  it('row 9: the guide gives the nodes their account and its roles before the cluster that runs as it', () => {
    const guide = read('docs/operations-gke.md');
    const places = [
      'gcloud services enable',
      'gcloud iam service-accounts create daybook-nodes',
      'roles/container.defaultNodeServiceAccount',
      'gcloud container clusters create-auto',
      'gcloud artifacts repositories create',
      'roles/artifactregistry.reader',
      'docker buildx build',
    ].map((text) => guide.indexOf(text));
    expect(places.every((place) => place > -1)).toBe(true);
    expect(places).toEqual(places.toSorted((one, other) => one - other));
  });

  it('gives each principal its least roles', () => {
    const granted = Object.entries(module.resource)
      .filter(([type]) => type.endsWith('_iam_member'))
      .flatMap(([type, named]) =>
        Object.entries(named).map(([name, [grant]]) => [`${type}.${name}`, grant!['role']] as const),
      );
    expect(Object.fromEntries(granted)).toEqual({
      'google_service_account_iam_member.pubsub_agent_acts_as_writer': 'roles/iam.serviceAccountTokenCreator',
      'google_bigquery_table_iam_member.writer_events': 'roles/bigquery.dataEditor',
      'google_bigquery_table_iam_member.writer_dead_letters': 'roles/bigquery.dataEditor',
      'google_pubsub_topic_iam_member.pubsub_agent_publishes_dead_letters': 'roles/pubsub.publisher',
      'google_pubsub_subscription_iam_member.pubsub_agent_takes_dead_letters': 'roles/pubsub.subscriber',
      'google_pubsub_topic_iam_member.api_publishes': 'roles/pubsub.publisher',
      'google_pubsub_topic_iam_member.api_publishes_dead_letters': 'roles/pubsub.publisher',
      'google_project_iam_member.api_runs_queries': 'roles/bigquery.jobUser',
      'google_bigquery_dataset_iam_member.api_reads': 'roles/bigquery.dataViewer',
      'google_project_iam_member.daily_runs_queries': 'roles/bigquery.jobUser',
      'google_bigquery_dataset_iam_member.daily_reads': 'roles/bigquery.dataViewer',
      'google_bigquery_table_iam_member.daily_writes': 'roles/bigquery.dataEditor',
    });
  });

  it('names a federated principal on the dataset as the provider wants it', () => {
    const { member } = resource('google_bigquery_dataset_iam_member', 'api_reads');
    expect(member).toContain('startswith(each.value, "principal") ? "iamMember:${each.value}"');
  });

  it('makes no key of a service account', () => {
    expect(module.resource).not.toHaveProperty('google_service_account_key');
  });

  it('names settings that the server has', () => {
    const settings = Object.keys(module.output['environment']![0]!['value'] as object);
    expect(settings).toContain('BIGQUERY_TABLE_NAME');
    expect(Object.keys(ENVIRONMENT.shape)).toEqual(expect.arrayContaining(settings));
  });

  it('names outputs that the chart takes as values', () => {
    const values = module.output['helm_values']![0]!['value'] as { google: object };
    const chart = JSON.parse(read('deploy/helm/daybook/values.schema.json')) as {
      properties: { google: { properties: object } };
    };
    expect(Object.keys(chart.properties.google.properties)).toEqual(
      expect.arrayContaining(Object.keys(values.google)),
    );
  });
});
