import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { storageRegions } from '../../src/transport/pubsub/regions.ts';
import { ROOT, tool, withTools, type Outcome } from './tool.ts';

/* The expressions of the Terraform module, evaluated. Resources need the provider and Google; variables, locals and
   templates do not: they are planned here in a module that has only them. */

const MODULE = join(ROOT, 'deploy/terraform');

interface Plan {
  readonly planned_values: {
    readonly outputs: {
      readonly views: { readonly value: Record<string, string> };
      readonly regions: { readonly value: string[] };
      readonly members: { readonly value: Record<string, string> };
    };
  };
}

withTools(['tofu'], 'OpenTofu', () => {
  let directory: string;

  const tofu = (...args: readonly string[]): Outcome =>
    tool('tofu', [`-chdir=${directory}`, ...args], {
      env: { TF_CLI_CONFIG_FILE: join(directory, 'rc'), TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' },
    });
  const vars = (values: Record<string, string>) =>
    Object.entries({ project_id: 'example-project', ...values }).flatMap(([name, value]) => [
      '-var',
      `${name}=${value}`,
    ]);
  const plan = (values: Record<string, string>) =>
    tofu('plan', '-no-color', '-input=false', '-out=plan', ...vars(values));

  function outputs(values: Record<string, string>): Plan['planned_values']['outputs'] {
    const { status, output } = plan(values);
    expect(status, output).toBe(0);
    return (JSON.parse(tofu('show', '-json', 'plan').output) as Plan).planned_values.outputs;
  }

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'daybook-terraform-'));
    for (const name of ['variables.tf', 'generated'])
      cpSync(join(MODULE, name), join(directory, name), { recursive: true });
    const main = readFileSync(join(MODULE, 'main.tf'), 'utf8');
    const locals = /^locals \{\n.*?^\}\n/ms
      .exec(main)![0]
      .replaceAll(/data\.google_project\.\w+(\[0\])?\.number/g, '"123"');
    const members = 'output "members" { value = local.api_members }';
    const regions = 'output "regions" { value = local.storage_regions }';
    const views =
      'output "views" { value = { for file in fileset(local.generated, "*.sql") : ' +
      'file => templatefile("${local.generated}/${file}", local.sql) } }';
    writeFileSync(join(directory, 'main.tf'), [locals, members, regions, views, ''].join('\n'));
    writeFileSync(join(directory, 'rc'), '');
    const { status, output } = tofu('init', '-no-color', '-input=false', '-backend=false');
    expect(status, output).toBe(0);
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('finds the module well formatted', () => {
    expect(tofu('fmt', '-check', '-diff', '-no-color', MODULE)).toEqual({ status: 0, output: '' });
  });

  it('would notice a bad format', () => {
    writeFileSync(join(directory, 'bad.tf'), 'locals {\na=1\n}\n');
    expect(tofu('fmt', '-check', '-no-color').output).toContain('bad.tf');
    rmSync(join(directory, 'bad.tf'));
  });

  it('fills in every view', () => {
    const { views } = outputs({ timezone: 'Europe/Helsinki', dataset_id: 'sets', table_id: 'rows' });
    expect(Object.keys(views.value).length).toBeGreaterThanOrEqual(6);
    for (const [file, sql] of Object.entries(views.value)) expect(sql, file).not.toMatch(/\$\{|%\{/);
    expect(views.value['daily.sql']).toContain('`example-project.sets.rows_user_days`');
    expect(views.value['user_days.sql']).toContain("'Europe/Helsinki'");
  });

  it('makes the principal of a Kubernetes service account', () => {
    const { members } = outputs({
      kubernetes_service_account:
        '{ namespace = "events", name = "server", cluster_project_id = "clusters" }',
      api_members: '["user:someone@example.com"]',
    });
    expect(members.value).toEqual({
      'user:someone@example.com': 'user:someone@example.com',
      kubernetes:
        'principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/clusters.svc.id.goog' +
        '/subject/ns/events/sa/server',
    });
  });

  it.each([
    [{ location: 'europe-north1' }, ['europe-north1']],
    [{ location: 'EUROPE-NORTH1' }, ['europe-north1']],
    [{ location: 'US' }, []],
    [{ location: 'EU', storage_regions: '["europe-west4"]' }, ['europe-west4']],
  ])('keeps messages of %o in %o', (values: Record<string, string>, regions) => {
    expect(outputs(values).regions.value).toEqual(regions);
  });

  it('keeps messages of a dataset in EU in the union, which London and Zurich are not in', () => {
    const regions = outputs({ location: 'EU' }).regions.value;
    expect(regions).toEqual(storageRegions('EU'));
    expect(regions.filter((region) => !region.startsWith('europe-'))).toEqual([]);
    expect(regions).not.toEqual(expect.arrayContaining(['europe-west2']));
    expect(regions).not.toEqual(expect.arrayContaining(['europe-west6']));
  });

  it('gives nobody anything by default', () => {
    expect(outputs({}).members.value).toEqual({});
  });

  it.each([
    ['project_id', 'X'],
    ['location', '!'],
    ['dataset_id', 'a-b'],
    ['table_id', 'a.b'],
    ['topic', 'goog1'],
    ['timezone', '../x'],
    ['storage_regions', '["Europe"]'],
    ['notification_channels', '["me@example.com"]'],
    ['budget', '{ billing_account = "A", monthly_amount = 0.5 }'],
    ['api_members', '["someone"]'],
    ['max_delivery_attempts', '4'],
    ['max_delivery_attempts', '5.5'],
    ['message_retention_seconds', '1'],
  ])('refuses %s = %s', (name, value) => {
    const { status, output } = plan({ [name]: value });
    expect(status).not.toBe(0);
    expect(output).toMatch(/Invalid value for variable/);
    expect(output).toContain(name);
  });

  it('takes the longest and oddest values that are right', () => {
    const { status, output } = plan({
      topic: `a${'.'.repeat(200)}`,
      table_id: 'e'.repeat(200),
      max_delivery_attempts: '100',
      message_retention_seconds: '2678400',
      timezone: 'America/Argentina/Buenos_Aires',
    });
    expect(status, output).toBe(0);
  });
});
