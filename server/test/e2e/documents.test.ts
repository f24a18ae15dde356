import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENVIRONMENT } from '../../src/config.ts';
import { control, killServers, startServer } from './server-process.ts';

/* The examples that people copy, run as they stand in the documents, against a server on a free port. */

const ROOT = join(import.meta.dirname, '../../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const run = promisify(execFile);

const directory = mkdtempSync(join(tmpdir(), 'daybook-'));
let url = '';
let greeting = '';
beforeAll(async () => {
  const server = await startServer({ directory });
  url = server.url;
  greeting = server.output();
});
afterAll(() => {
  killServers();
  rmSync(directory, { recursive: true, force: true });
});

const blocks = (language: string) =>
  [...README.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map((match) => match[1]!);

async function shell(command: string): Promise<unknown> {
  const { stdout } = await run('sh', ['-ec', command.replaceAll('http://127.0.0.1:3000', url)]);
  return JSON.parse(stdout);
}

describe('README.md', () => {
  it('shows what the server answers', async () => {
    const curls = blocks('sh').filter((block) => block.startsWith('curl'));
    const answers = blocks('json').map((text) => JSON.parse(text) as unknown);
    expect(curls).toHaveLength(2);
    expect(await shell(curls[0]!)).toEqual(answers[0]);
    await control(directory, 'drain', 10_000);
    expect(await shell(curls[1]!)).toEqual(answers[1]);
  });

  it('names commands that exist', async () => {
    const scripts = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object })
      .scripts;
    for (const [, name] of README.matchAll(/npm run ([a-z:]+)/g))
      expect(Object.keys(scripts)).toContain(name);
    const { stdout } = await run(process.execPath, [join(ROOT, 'server/dist/cli/daybook.js'), '--help']);
    const table = README.slice(README.indexOf('## The command'));
    for (const [, name] of table.matchAll(/^\| `([a-z-]+)/gm)) expect(stdout).toContain(`  ${name} `);
  });
});

it('the greeting prints commands that work', async () => {
  const curls = [...greeting.matchAll(/^ {2}(curl [^]*?)(?=\n\S|$(?![^]))/gm)].map((match) => match[1]!);
  expect(curls).toHaveLength(2);
  expect(await shell(curls[0]!)).toEqual({ accepted: 1 });
  expect(await shell(curls[1]!)).toHaveProperty('daily_stats');
});

it('the documents name no setting that does not exist', () => {
  for (const file of [
    'README.md',
    'ARCHITECTURE.md',
    'SECURITY.md',
    'docs/operations.md',
    'docs/errors.md',
  ]) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [name] of text.matchAll(/\bDAYBOOK_[A-Z_]+\b/g))
      expect(Object.keys(ENVIRONMENT.shape), `${file} names ${name}`).toContain(name);
  }
});
