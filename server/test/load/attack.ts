import { setPriority } from 'node:os';
import { ATTACKS } from './attacks.ts';

/*
 * One attack, in a process of its own. Arguments: name, URL, key, milliseconds. Prints how often it was answered how. It
 * has the lowest priority: on a machine with few cores the attacker must slow down before the client that is measured.
 */

const [name = '', url = '', key = '', ms = ''] = process.argv.slice(2);
const attack = ATTACKS[name];
if (attack === undefined) throw new Error(`no attack is named ${name}`);
setPriority(19);
const outcomes: Record<string, number> = {};
await attack({
  url: new URL(url),
  key,
  untilMs: performance.now() + Number(ms),
  count: (outcome) => (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1),
});
process.stdout.write(JSON.stringify(outcomes), () => process.exit(0));
