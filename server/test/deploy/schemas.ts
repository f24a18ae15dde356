import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goModule, wheelFiles } from './toolbox.ts';
import { yaml } from './parsers.ts';

/* JSON Schemas for kubeconform: Kubernetes' own kinds, and those of the custom resources that the chart can make. */

export const KUBERNETES = '1.34.0';
const KUBERNETES_SCHEMAS = 'kubernetes-validate==1.37.0';

/** Custom resources: module, version, file. They are the definitions that clusters install. */
const DEFINITIONS = [
  ['sigs.k8s.io/gateway-api', '1.4.0', 'config/crd/standard/gateway.networking.k8s.io_gateways.yaml'],
  ['sigs.k8s.io/gateway-api', '1.4.0', 'config/crd/standard/gateway.networking.k8s.io_httproutes.yaml'],
  [
    'github.com/prometheus-operator/prometheus-operator',
    '0.85.0',
    'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml',
  ],
  [
    'github.com/GoogleCloudPlatform/prometheus-engine',
    '0.17.2',
    'charts/operator/crds/monitoring.googleapis.com_podmonitorings.yaml',
  ],
] as const;

interface CustomResourceDefinition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

interface Schema {
  [key: string]: unknown;
}

/** The strict schemas of Kubernetes' kinds, with references that lie beside them instead of on the network. */
export function installKubernetesSchemas(directory: string): void {
  const prefix = `kubernetes_validate/kubernetes-json-schema/v${KUBERNETES}-local-strict/`;
  wheelFiles(KUBERNETES_SCHEMAS, prefix, directory);
  const from = join(directory, prefix);
  for (const file of readdirSync(from)) {
    const text = readFileSync(join(from, file), 'utf8').replaceAll(
      '"/api/_definitions.json#',
      '"_definitions.json#',
    );
    const { $id: _id, $schema: _schema, ...schema } = JSON.parse(text) as Schema;
    writeFileSync(join(directory, file), JSON.stringify(schema));
  }
  rmSync(join(directory, 'kubernetes_validate'), { recursive: true });
}

/** Definitions of custom resources as schemas: `group/kind_version.json`. */
export function installCustomSchemas(directory: string): void {
  for (const [module, version, file] of DEFINITIONS) {
    const text = readFileSync(join(goModule(module, version), file), 'utf8');
    const documents = yaml()
      .parseAllDocuments(text)
      .map((document) => document.toJS() as CustomResourceDefinition | null);
    const found = documents.find((document) => document?.spec !== undefined);
    if (!found) throw new Error(`${file} defines nothing`);
    mkdirSync(join(directory, found.spec.group), { recursive: true });
    for (const { name, schema } of found.spec.versions) {
      const target = `${found.spec.names.kind.toLowerCase()}_${name}.json`;
      writeFileSync(
        join(directory, found.spec.group, target),
        JSON.stringify(strict(schema.openAPIV3Schema)),
      );
    }
  }
}

/** A cluster drops fields that a definition does not know; a check must refuse them. */
function strict(schema: Schema, top = true): Schema {
  const copy: Schema = { ...schema };
  for (const key of ['items', 'not'] as const) {
    if (isSchema(copy[key])) copy[key] = strict(copy[key], false);
  }
  if (isSchema(copy['additionalProperties'])) {
    copy['additionalProperties'] = strict(copy['additionalProperties'], false);
  }
  if (!isSchema(copy['properties'])) return copy;
  const properties = Object.entries(copy['properties']).map(([name, value]) => {
    const open = top && name === 'metadata';
    return [name, isSchema(value) && !open ? strict(value, false) : value] as const;
  });
  copy['properties'] = Object.fromEntries(properties);
  if (copy['x-kubernetes-preserve-unknown-fields'] !== true) copy['additionalProperties'] ??= false;
  return copy;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
