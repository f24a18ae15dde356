import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';

/** Builds the server once: the processes that the tests kill are the product, not its sources. */
export default function build(): void {
  const root = resolve(import.meta.dirname, '../../..');
  const compiler = join(root, 'node_modules/.bin/tsc');
  execFileSync(compiler, ['-p', 'server/tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
}
