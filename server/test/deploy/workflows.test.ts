import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { yaml } from './parsers.ts';
import { read, ROOT, tool, withTools } from './tool.ts';

const FILES = readdirSync(join(ROOT, '.github/workflows'));

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Record<string, unknown>;
}

interface Job {
  readonly uses?: string;
  readonly permissions?: Record<string, string>;
  readonly steps?: readonly Step[];
  readonly 'timeout-minutes'?: number;
}

interface Workflow {
  readonly permissions: Record<string, string>;
  readonly concurrency: object;
  readonly jobs: Record<string, Job>;
}

const workflow = (file: string) => yaml().parse(read(`.github/workflows/${file}`)) as Workflow;

withTools(['actionlint'], 'actionlint', () => {
  it.each(FILES)('finds nothing in %s', (file) => {
    const { status, output } = tool('actionlint', ['-no-color', join('.github/workflows', file)]);
    expect(status, output).toBe(0);
  });

  it('would find something', () => {
    const input =
      'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.x }}\n';
    const { status, output } = tool('actionlint', ['-no-color', '-'], { input });
    expect(status).not.toBe(0);
    expect(output).toMatch(/undefined variable/);
  });
});

describe.each(FILES)('%s', (file) => {
  it('may by default only read, and lets a newer run take its place', () => {
    expect(workflow(file).permissions).toEqual({ contents: 'read' });
    expect(workflow(file).concurrency).toBeDefined();
  });

  it('has a limit of time for every job', () => {
    for (const [name, job] of Object.entries(workflow(file).jobs)) {
      if (job.uses === undefined) expect(job['timeout-minutes'], name).toBeGreaterThan(0);
    }
  });

  it('pins every action by commit, with its version beside it', () => {
    const lines = read(`.github/workflows/${file}`)
      .split('\n')
      .filter((line) => /^\s*(- )?uses: /.test(line));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(line).toMatch(/uses: (\.\/\.github\/workflows\/ci\.yml|\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/);
  });

  it('leaves no token behind in the checked-out folder', () => {
    const checkouts = Object.values(workflow(file).jobs)
      .flatMap((job) => job.steps ?? [])
      .filter((step) => step.uses?.startsWith('actions/checkout@'));
    for (const step of checkouts) expect(step.with).toMatchObject({ 'persist-credentials': false });
  });

  it('puts nothing that others write into a script', () => {
    for (const step of Object.values(workflow(file).jobs).flatMap((job) => job.steps ?? [])) {
      expect(step.run ?? '').not.toMatch(/\$\{\{/);
    }
  });
});

describe('the release', () => {
  it('uses no stored key of Google', () => {
    const text = read('.github/workflows/release.yml');
    expect(text).not.toMatch(/credentials_json|secrets\./);
    const { image, deploy } = workflow('release.yml').jobs;
    expect(image?.permissions).toEqual({ contents: 'read', 'id-token': 'write', attestations: 'write' });
    expect(deploy?.permissions).toEqual({ contents: 'read', 'id-token': 'write', attestations: 'read' });
  });

  it('rolls out by digest what it built, after its attestation was checked', () => {
    const steps = workflow('release.yml').jobs['deploy']?.steps ?? [];
    const verify = steps.findIndex((step) => step.run?.includes('gh attestation verify'));
    const upgrade = steps.findIndex((step) => step.run?.includes('image.digest="$DIGEST"'));
    expect(verify).toBeGreaterThan(-1);
    expect(upgrade).toBeGreaterThan(verify);
  });

  it('uses the version of Helm with which the chart is checked', async () => {
    const { TOOLS } = await import('./tools.ts');
    expect(read('.github/workflows/release.yml')).toContain(`version: v${TOOLS.helm.version}`);
  });
});

describe('ci', () => {
  it('runs every check of the repository', () => {
    const commands = Object.values(workflow('ci.yml').jobs)
      .flatMap((job) => job.steps ?? [])
      .map((step) => step.run ?? '')
      .join('\n');
    for (const script of [
      'types',
      'lint',
      'test:faults',
      'test:api',
      'test:load',
      'test:cloud',
      'test:deploy',
    ]) {
      expect(commands).toContain(`npm run ${script}`);
    }
    expect(commands).toMatch(/npm test$/m);
    expect(commands).toContain('npm audit --omit=dev');
  });
});

it('dependabot looks after every folder that has packages', () => {
  const { updates } = yaml().parse(read('.github/dependabot.yml')) as {
    updates: { 'package-ecosystem': string; directory?: string; directories?: string[] }[];
  };
  const npm = updates.find((update) => update['package-ecosystem'] === 'npm');
  expect(npm?.directories).toEqual(['/', '/server/test/deploy/tools']);
  const kinds = updates.map((update) => update['package-ecosystem']);
  expect(kinds).toEqual(['npm', 'docker', 'github-actions', 'terraform']);
});
