import { readFileSync, writeFileSync } from 'node:fs';

/*
 * `npm run lock`, after a change of dependencies. npm leaves an optional package out in silence where that asks for a newer
 * Node than npm itself runs on, and Google's clients ask for Node 22. Daybook runs on the Node that its packages bring
 * and not on npm's, so what optional packages ask for is taken out of the lock file.
 */

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
for (const entry of Object.values(lock.packages)) {
  if (entry.optional === true && entry.engines?.node !== undefined) delete entry.engines;
}
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
