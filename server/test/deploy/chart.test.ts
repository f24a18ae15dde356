import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { validateGke, yaml } from './parsers.ts';
import { KUBERNETES } from './schemas.ts';
import { folder, read, ROOT, tool, withTools, type Outcome } from './tool.ts';

/* The chart, rendered by Helm itself and looked at. After a change that is meant: npm run test:deploy -- -u */

const CHART = 'deploy/helm/daybook';
const CASES = readdirSync(join(ROOT, CHART, 'ci')).map((file) => file.replace('-values.yaml', ''));

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> };
  readonly spec: Record<string, unknown>;
}

const valuesOf = (name: string) => `${CHART}/ci/${name}-values.yaml`;

function helm(command: 'template' | 'lint', ...args: readonly string[]): Outcome {
  const names = command === 'template' ? ['daybook', CHART, '--namespace', 'daybook'] : [CHART, '--strict'];
  return tool('helm', [command, ...names, '--kube-version', KUBERNETES, ...args]);
}

function render(name: string, ...args: readonly string[]): Manifest[] {
  const { status, output } = helm('template', '--values', valuesOf(name), ...args);
  expect(status, output).toBe(0);
  const documents = yaml().parseAllDocuments(output);
  expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
  return documents
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

const ofKind = (manifests: readonly Manifest[], kind: string) =>
  manifests.filter((item) => item.kind === kind);

/** The pod's specification of the one workload. */
function podOf(manifests: readonly Manifest[]): Pod {
  const workload = manifests.find(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment');
  expect(workload).toBeDefined();
  return (workload!.spec as { template: { spec: Pod } }).template.spec;
}

interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: object;
  readonly containers: readonly [Container];
}

interface Container {
  readonly image: string;
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly securityContext: object;
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly requests: { memory: string }; readonly limits: { memory: string } };
}

withTools(['helm'], 'the chart', () => {
  it.each(CASES)('%s passes helm lint', (name) => {
    const { status, output } = helm('lint', '--values', valuesOf(name));
    expect(status, output).toBe(0);
    expect(output).not.toMatch(/\[(WARNING|ERROR)\]/);
  });

  it.each(CASES)('%s renders what the golden file says', async (name) => {
    const { output } = helm('template', '--values', valuesOf(name));
    await expect(output).toMatchFileSnapshot(`golden/${name}.golden`);
  });

  it.each(CASES)('%s stops later than the drain may take', (name) => {
    const pod = podOf(render(name));
    const [container] = pod.containers;
    const timeoutMs = container.env.find((item) => item.name === 'DAYBOOK_SHUTDOWN_TIMEOUT_MS')?.value;
    const least = container.lifecycle.preStop.sleep.seconds + Number(timeoutMs) / 1_000;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(least);
  });

  it('counts a part of a second in the grace period', () => {
    const pod = podOf(render('google', '--set', 'shutdown.timeoutMs=20500'));
    expect(pod.terminationGracePeriodSeconds).toBe(15 + 21 + 10);
  });

  it.each(CASES)('%s runs with the least rights', (name) => {
    const manifests = render(name);
    const pods = [podOf(manifests), ...ofKind(manifests, 'Pod').map(({ spec }) => spec as unknown as Pod)];
    expect(pods).toHaveLength(2);
    for (const pod of pods) {
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(pod.containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(pod.containers[0].resources.limits.memory).toBe(pod.containers[0].resources.requests.memory);
    }
  });

  it.each(CASES)('%s takes keys by reference only', (name) => {
    const manifests = render(name);
    const keys = podOf(manifests).containers[0].env.filter((item) => item.name.endsWith('_KEYS'));
    expect(keys.map((item) => item.name)).toEqual(['DAYBOOK_WRITE_KEYS', 'DAYBOOK_READ_KEYS']);
    for (const { name: variable, value, valueFrom } of keys) {
      expect(value).toBeUndefined();
      expect(valueFrom).toEqual({ secretKeyRef: { name: 'daybook-keys', key: variable } });
    }
    expect([...ofKind(manifests, 'ConfigMap'), ...ofKind(manifests, 'Secret')]).toEqual([]);
  });

  it.each(CASES)('%s gives the server settings that it takes', (name) => {
    const { env } = podOf(render(name)).containers[0];
    const given = env.map((item) => [item.name, item.value ?? 'a-key-of-at-least-16-characters'] as const);
    const config = readConfig(Object.fromEntries(given));
    expect(config).toMatchObject({ host: '0.0.0.0', port: 3_000, dataDirectory: '/data' });
    expect(config.warehouse).toBe(name.startsWith('google') ? 'bigquery' : 'duckdb');
    expect(config.journal).toBe(config.warehouse === 'duckdb');
  });

  it.each(CASES)('row 2: %s keeps connections longer than the 600 s of Google’s load balancers', (name) => {
    const { env } = podOf(render(name)).containers[0];
    const given = env.find((item) => item.name === 'DAYBOOK_HTTP_KEEP_ALIVE_MS')?.value;
    expect(readConfig({ DAYBOOK_HTTP_KEEP_ALIVE_MS: given }).keepAliveMs).toBeGreaterThan(600_000);
  });

  it('embedded: is one replica with a disk, without what scales it', () => {
    const manifests = render('embedded');
    expect(ofKind(manifests, 'StatefulSet')[0]?.spec).toMatchObject({ replicas: 1 });
    const scaling = manifests.filter(({ kind }) =>
      /Deployment|HorizontalPodAutoscaler|PodDisruption/.test(kind),
    );
    expect(scaling).toEqual([]);
  });

  it('google: scales by CPU, is spread, and leaves the number of replicas to the autoscaler', () => {
    const manifests = render('google');
    const [deployment] = ofKind(manifests, 'Deployment');
    expect(deployment?.spec).not.toHaveProperty('replicas');
    expect(podOf(manifests)).toHaveProperty('topologySpreadConstraints.length', 2);
    expect(ofKind(manifests, 'HorizontalPodAutoscaler')).toHaveLength(1);
    expect(ofKind(manifests, 'PodDisruptionBudget')).toHaveLength(1);
    expect(podOf(manifests).containers[0].image).toMatch(/daybook@sha256:0{64}$/);
    expect(ofKind(render('google-minimal'), 'Deployment')[0]?.spec).toMatchObject({ replicas: 3 });
  });

  it('google: gives GKE a health check that a pod answers', () => {
    const manifests = render('google');
    for (const kind of ['HealthCheckPolicy', 'GCPBackendPolicy']) {
      const found = ofKind(manifests, kind);
      expect(found).toHaveLength(1);
      expect(() => validateGke(kind, found[0]!)).not.toThrow();
    }
    expect(() => validateGke('HealthCheckPolicy', { spec: { default: { config: {} } } })).toThrow(
      /targetRef|property/,
    );
  });
});

const REFUSED: [title: string, values: string, args: string[], message: RegExp][] = [
  ['no keys', 'embedded', ['keys.existingSecret='], /keys.existingSecret is required/],
  ['no project', 'google', ['google.projectId='], /google.projectId is required/],
  ['store and forward', 'google', ['google.storeAndForward=true'], /not available in this chart/],
  ['a Gateway without TLS', 'google', ['gateway.tls.certificateMap='], /must not travel in the clear/],
  ['an Ingress without TLS', 'embedded', ['ingress.tlsSecretName='], /must not travel in the clear/],
  ['two ways in', 'google', ['ingress.enabled=true'], /exclude each other/],
  ['a Gateway both made and joined', 'google', ['gateway.parentRefs[0].name=x'], /not both/],
  ['memory that can grow', 'google', ['google.resources.limits.memory=3Gi'], /must be equal/],
  ['an upside-down autoscaler', 'google', ['google.autoscaling.minReplicas=20'], /greater than maxReplicas/],
  ['metrics without a key', 'google', ['metrics.keySecret.name='], /asks for a read key/],
  [
    'a value that does not exist',
    'google',
    ['replicaCount=3'],
    /additional properties 'replicaCount'|replicaCount/,
  ],
  ['keys among the settings', 'google', ['settings.DAYBOOK_WRITE_KEYS=x'], /DAYBOOK_WRITE_KEYS/],
  ['an unknown mode', 'embedded', ['mode=clickhouse'], /mode/],
  ['a digest that is none', 'google', ['image.digest=latest'], /digest/],
];

withTools(['helm'], 'the chart refuses', () => {
  it.each(REFUSED)('%s', (_title, values, settings, message) => {
    const args = settings.flatMap((setting) => ['--set', setting]);
    const { status, output } = helm('template', '--values', valuesOf(values), ...args);
    expect(status).not.toBe(0);
    expect(output).toMatch(message);
  });

  it('an install without any values, saying what is missing', () => {
    expect(helm('template').output).toMatch(/keys.existingSecret is required/);
  });
});

withTools(['helm', 'kubeconform', 'kubernetes', 'custom'], 'kubeconform, strict', () => {
  const check = (text: string) =>
    tool(
      'kubeconform',
      [
        '-strict',
        '-summary',
        '-schema-location',
        join(folder('kubernetes'), '{{ .ResourceKind }}{{ .KindSuffix }}.json'),
        '-schema-location',
        join(folder('custom'), '{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json'),
        // GKE's own kinds: validated above against their definitions.
        '-skip',
        'HealthCheckPolicy,GCPBackendPolicy',
        '-',
      ],
      { input: text },
    );

  it.each(CASES)('takes %s', (name) => {
    const { status, output } = check(helm('template', '--values', valuesOf(name)).output);
    expect(status, output).toBe(0);
    expect(output).toMatch(/Invalid: 0, Errors: 0/);
    expect(output).not.toMatch(/Valid: 0/);
  });

  it.each([
    ['google', 'preStop:', 'beforeStop:'],
    ['google', 'matchLabelKeys:', 'matchKeys:'],
    ['google', 'PathPrefix', 'Prefix'],
    ['google', 'podSelector:', 'selector:'],
    ['embedded', 'authorization:', 'authorisation:'],
  ])('notices a fault in %s: %s', (name, from, to) => {
    const text = helm('template', '--values', valuesOf(name)).output;
    expect(text).toContain(from);
    expect(check(text.replaceAll(from, to)).output).toMatch(/is invalid|failed validation/);
  });
});

it('the chart has the version of the server', () => {
  const chart = yaml().parse(read(`${CHART}/Chart.yaml`)) as { appVersion: string };
  const server = JSON.parse(read('server/package.json')) as { version: string };
  expect(chart.appVersion).toBe(server.version);
});
