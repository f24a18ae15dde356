import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { docsPage, errorsPage } from '../../src/http/docs-page.ts';
import { openApiDocument } from '../../src/http/openapi.ts';

/* The pages as a browser lays them out. */

const browser = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);
const directory = mkdtempSync(join(tmpdir(), 'daybook-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** By how many CSS pixels a page is wider than the frame it is shown in. */
function pixelsTooWide(html: string, width: number): number {
  const frame = html.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const measure = 'const e=frames[0].document.documentElement;document.title=e.scrollWidth-e.clientWidth';
  const path = join(directory, 'frame.html');
  writeFileSync(path, `<iframe width="${width}" onload="${measure}" srcdoc="${frame}"></iframe>`);
  const profile = `--user-data-dir=${join(directory, 'profile')}`;
  const args = ['--headless', '--no-sandbox', '--disable-gpu', profile, '--dump-dom', `file://${path}`];
  const dom = execFileSync(browser!, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return Number(/<title>(\d+)<\/title>/.exec(dom)?.[1]);
}

describe.skipIf(browser === undefined)('in a browser (apt-get install chromium brings one)', () => {
  it.each([320, 400, 500, 1_280])('regression: no page scrolls sideways at %i pixels', (width) => {
    for (const html of [docsPage(openApiDocument('0.1.0')), errorsPage()])
      expect(pixelsTooWide(html, width)).toBe(0);
  });
});
