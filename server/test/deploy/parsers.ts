import { createRequire } from 'node:module';
import { join } from 'node:path';

/* The parsers of tools/package.json. They are not among the server's dependencies, so their types stand here. */

const load = createRequire(join(import.meta.dirname, 'tools/package.json'));

interface Yaml {
  parse(text: string): unknown;
  parseAllDocuments(text: string): { toJS(): unknown; readonly errors: readonly Error[] }[];
}

export function yaml(): Yaml {
  return load('yaml') as Yaml;
}

interface Hcl {
  parse(file: string, text: string): Promise<Record<string, unknown>>;
}

/** HashiCorp's parser. */
export function hcl(): Hcl {
  return load('@cdktf/hcl2json') as Hcl;
}

interface Instruction {
  getKeyword(): string;
  /** Keyword, flags and arguments, as written. */
  getTextContent(): string;
}

interface DockerfileParser {
  readonly DockerfileParser: { parse(text: string): { getInstructions(): Instruction[] } };
}

/** The instructions of a Dockerfile, continuation lines joined: `['FROM', 'node:26 AS build']`. */
export function dockerfile(text: string): [keyword: string, text: string][] {
  const parsed = (load('dockerfile-ast') as DockerfileParser).DockerfileParser.parse(text);
  return parsed.getInstructions().map((instruction) => [
    instruction.getKeyword(),
    instruction
      .getTextContent()
      .replace(/^\S+\s+/, '')
      .replace(/\\\n\s*/g, ''),
  ]);
}

interface Validated {
  validate(): void;
}

/** GKE's own kinds, which kubeconform has no schemas for. @throws Error when the object is not valid */
export function validateGke(kind: string, object: object): void {
  const classes = load(`@kubernetes-models/gke/networking.gke.io/v1/${kind}`) as Record<
    string,
    new (data: object) => Validated
  >;
  new classes[kind]!(object).validate();
}
