import { readFileSync } from 'node:fs';

/** Oldest major version of Node that Daybook runs on: that of its package. */
export const NODE_MAJOR_MIN = Number(
  /\d+/.exec(
    (
      JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
        engines: { node: string };
      }
    ).engines.node,
  )?.[0],
);

/**
 * Ends the process where Node is too old. An older one cannot even link the rest of the program, so whoever starts it
 * loads the rest only after this.
 */
export function requireNode(): void {
  const { node } = process.versions;
  if (Number(node.split('.', 1)[0]) >= NODE_MAJOR_MIN) return;
  process.stderr.write(
    `daybook: needs Node ${NODE_MAJOR_MIN} or newer, and this is ${node}. Where the packages are installed whole, ` +
      '"npm start" and "npm run daybook" bring the right one\n',
  );
  process.exit(1);
}
