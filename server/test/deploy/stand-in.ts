import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, lchownSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { dockerfile } from './parsers.ts';
import { read, ROOT } from './tool.ts';

/* A stand-in for an engine: the steps of the Dockerfile in plain folders, one a stage. It shows that the steps work and
   that the result starts; it shows nothing about layers, the base image, or another platform. */

/** What a stage left behind. */
export interface Stage {
  /** Stands for the image's root folder. */
  readonly root: string;
  readonly env: Record<string, string>;
  workdir: string;
  user: number | undefined;
  healthcheck: readonly string[];
  command: readonly string[];
}

/** Executes the Dockerfile; returns the last stage. */
export function build(): Stage {
  const base = mkdtempSync(join(tmpdir(), 'daybook-image-'));
  chmodSync(base, 0o755);
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const [keyword, text] of dockerfile(read('Dockerfile'))) {
    if (keyword === 'FROM') {
      const name = / AS (\S+)$/.exec(text)?.[1] ?? 'last';
      stage = open(join(base, name));
      stages.set(name, stage);
    } else if (stage) step({ stage, stages, keyword, text });
  }
  return stage!;
}

function open(root: string): Stage {
  mkdirSync(join(root, 'tmp'), { recursive: true });
  return { root, env: {}, workdir: '/', user: undefined, healthcheck: [], command: [] };
}

interface Step {
  readonly stage: Stage;
  readonly stages: ReadonlyMap<string, Stage>;
  readonly keyword: string;
  readonly text: string;
}

function step({ stage, stages, keyword, text }: Step): void {
  switch (keyword) {
    case 'WORKDIR':
      stage.workdir = text;
      mkdirSync(join(stage.root, text), { recursive: true });
      break;
    case 'ENV':
      for (const [, name, value] of text.matchAll(/(\w+)=(\S+)/g)) stage.env[name!] = value!;
      break;
    case 'COPY':
      copy(stage, stages, text.split(/\s+/));
      break;
    case 'RUN':
      execFileSync('nice', ['-n', '15', 'sh', '-ec', inside(stage, text)], {
        cwd: join(stage.root, stage.workdir),
        env: { ...process.env, ...stage.env },
        stdio: 'pipe',
      });
      break;
    case 'USER':
      stage.user = Number(text.split(':')[0]);
      break;
    case 'HEALTHCHECK':
      stage.healthcheck = JSON.parse(text.slice(text.indexOf('['))) as string[];
      break;
    case 'CMD':
      stage.command = JSON.parse(text) as string[];
      break;
    default:
  }
}

/** Absolute paths of the image, as paths of this machine. */
export function inside(stage: Stage, text: string): string {
  return text.replaceAll(/(^|\s)\/(app|data|tmp)\b/g, (_all, before: string, name: string) => {
    return `${before}${join(stage.root, name)}`;
  });
}

function copy(stage: Stage, stages: ReadonlyMap<string, Stage>, words: readonly string[]): void {
  const flags = words.filter((word) => word.startsWith('--'));
  const paths = words.filter((word) => !word.startsWith('--'));
  const from = flags.find((flag) => flag.startsWith('--from='))?.slice('--from='.length);
  const owner = flags.find((flag) => flag.startsWith('--chown='))?.slice('--chown='.length);
  const source = from === undefined ? ROOT : stages.get(from)!.root;
  const target = paths.at(-1)!;
  const to = resolve(
    join(stage.root, stage.workdir),
    target.startsWith('/') ? join(stage.root, target) : target,
  );
  for (const path of paths.slice(0, -1)) {
    const directory = target.endsWith('/') || paths.length > 2;
    const place = directory ? join(to, basename(path)) : to;
    mkdirSync(dirname(place), { recursive: true });
    cpSync(join(source, path), place, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (file) =>
        from !== undefined || !/\/(node_modules|dist)(\/|$)|\.spec\.ts$/.test(file.slice(ROOT.length)),
    });
    if (owner !== undefined && process.getuid?.() === 0) own(place, owner);
  }
}

function own(path: string, owner: string): void {
  const [user, group] = owner.split(':').map(Number);
  lchownSync(path, user!, group!);
  for (const entry of readdirSync(path, { recursive: true }))
    lchownSync(join(path, String(entry)), user!, group!);
}
