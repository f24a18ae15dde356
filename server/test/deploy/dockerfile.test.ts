import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { dockerfile } from './parsers.ts';
import { read, tool, withTools } from './tool.ts';

const DOCKERFILE = 'Dockerfile';
const instructions = () => dockerfile(read(DOCKERFILE));
const all = (keyword: string) =>
  instructions()
    .filter(([name]) => name === keyword)
    .map(([, text]) => text);

/** The instructions of the stage that becomes the image. */
function last(keyword: string): string[] {
  const every = instructions();
  const start = every.findLastIndex(([name]) => name === 'FROM');
  return every
    .slice(start)
    .filter(([name]) => name === keyword)
    .map(([, text]) => text);
}

withTools(['hadolint'], 'hadolint', () => {
  it('finds nothing in the Dockerfile', () => {
    const { status, output } = tool('hadolint', ['--no-color', '--failure-threshold', 'info', DOCKERFILE]);
    expect(status, output).toBe(0);
  });

  it('would find something', () => {
    const { status, output } = tool('hadolint', ['--no-color', '-'], {
      input: 'FROM node\nRUN cd /x && ls\n',
    });
    expect(status).not.toBe(0);
    expect(output).toMatch(/DL3006|DL3003/);
  });
});

describe('the Dockerfile', () => {
  it('pins its one base image by digest, at the version of Node that the repository pins', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: { node: string } };
    const bases = all('FROM').map((text) => text.replace(/--platform=\S+ /, '').split(' ')[0]);
    expect(new Set(bases).size).toBe(1);
    expect(bases[0]).toMatch(new RegExp(`^node:${devDependencies.node}-trixie-slim@sha256:[0-9a-f]{64}$`));
    expect(read(DOCKERFILE)).toContain(
      `base.name="docker.io/library/node:${devDependencies.node}-trixie-slim"`,
    );
  });

  it('ends with an image that runs as a numeric user, without a package manager at work', () => {
    expect(last('USER')).toEqual(['10001:10001']);
    expect(last('RUN')).toEqual([]);
    expect(last('STOPSIGNAL')).toEqual(['SIGTERM']);
    expect(last('CMD')).toEqual(['["node", "server/dist/main.js"]']);
    expect(last('HEALTHCHECK')[0]).toMatch(/CMD \["node".*\/health\/live/);
    expect(last('VOLUME')).toEqual(['["/data"]']);
  });

  it('bakes no key in', () => {
    const baked = read(DOCKERFILE).replace('DAYBOOK_MAKE_KEYS=on', '');
    expect(baked).not.toMatch(/^(ENV|ARG)[^#]*(_KEYS|TOKEN|PASSWORD|CREDENTIALS)/m);
  });

  it('copies only what .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = all('COPY')
      .filter((text) => !text.includes('--from='))
      .flatMap((text) => text.split(/\s+/).slice(0, -1));
    expect([...new Set(sources)].sort()).toEqual([...allowed].sort());
    expect(read('.dockerignore').split('\n')).toContain('*');
  });
});

interface Compose {
  readonly services: { readonly daybook: Service };
}

interface Service {
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly stop_grace_period: string;
  readonly environment: Record<string, string>;
  readonly ports: readonly { host_ip: string }[];
  readonly volumes: readonly { type: string; target: string }[];
}

withTools(['compose'], 'compose.yaml', () => {
  /** What the reference parser makes of the file. */
  function parse(): Service {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-compose-'));
    try {
      writeFileSync(join(directory, 'compose.yaml'), read('compose.yaml'));
      const { status, output } = tool('compose', ['-format', 'json', join(directory, 'compose.yaml')], {
        program: 'cmd',
      });
      expect(status, output).toBe(0);
      return (JSON.parse(output) as Compose).services.daybook;
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  it('is taken by the reference parser, read-only and without capabilities', () => {
    const service = parse();
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.volumes.find(({ target }) => target === '/data')?.type).toBe('volume');
    expect(service.ports[0]?.host_ip).toBe('127.0.0.1');
  });

  it('waits longer for the end than the drain may take', () => {
    const { stop_grace_period: grace, environment } = parse();
    const drainS = Number(environment['DAYBOOK_SHUTDOWN_TIMEOUT_MS']) / 1_000;
    expect(Number(/^(\d+)s$/.exec(grace)?.[1])).toBeGreaterThan(drainS);
  });

  it('gives the server settings that it takes', () => {
    const key = 'a-key-of-16-characters';
    const environment = {
      HOST: '0.0.0.0',
      ...parse().environment,
      DAYBOOK_WRITE_KEYS: key,
      DAYBOOK_READ_KEYS: key,
    };
    expect(readConfig(environment)).toMatchObject({ host: '0.0.0.0', warehouse: 'duckdb' });
  });

  it('leaves keys to the first start where none are given', () => {
    const environment = { HOST: '0.0.0.0', DAYBOOK_MAKE_KEYS: 'on', ...parse().environment };
    expect(readConfig(environment).keysToMake).toHaveLength(2);
  });
});
