import { Command, Option } from 'commander';
import { readConfig } from '../config.ts';
import { PRIVATE_UMASK } from '../control/data-directory.ts';
import { VERSION } from '../http/version.ts';
import { addEnvFile } from '../env-file.ts';
import { explainStart, serve } from '../serve.ts';
import type { ProvisionOptions } from './gcp-provision.ts';
import { EX_USAGE, UsageError } from './usage-error.ts';

/*
 * The commands. Each subcommand is a file of its own and is loaded when it is called; it resolves with the exit code.
 */

type Run = Promise<number>;

/** What commands write is private as what the server writes; the output of an export has the user's own mask. */
const userUmask = process.umask(PRIVATE_UMASK);

const program = new Command('daybook')
  .description('Event analytics that a team runs itself.')
  .version(VERSION)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EX_USAGE));

program
  .command('serve', { isDefault: true })
  .description('serve the API until SIGTERM or Ctrl-C')
  .action(() => serve());

program
  .command('demo')
  .description('serve believable data from a throw-away directory')
  .option('--days <n>', 'days that end today', '90')
  .option('--events <n>', 'about how many events', '50000')
  .option('--seed <n>', 'the same seed gives the same data', '1')
  .action(async (options: Record<'days' | 'events' | 'seed', string>) => {
    const { demo } = await import('./demo.ts');
    const { days, events, seed } = options;
    await demo(readConfig(), { days: whole(days), events: whole(events), seed: whole(seed) });
  });

program
  .command('import')
  .argument(
    '<file...>',
    '.ndjson, .jsonl or .csv, each also with .gz, .br or .zst; - is NDJSON from standard input',
  )
  .description('send files of events; importing one twice counts nothing twice')
  .option('--url <url>', 'a server to send to; default: the one on the data directory')
  .option('--key <key>', 'write key; default: the first of DAYBOOK_WRITE_KEYS')
  .option('--from-start', 'do not go on where an earlier import of the file stopped')
  .action(async (files: string[], options: { url?: string; key?: string; fromStart?: boolean }) => {
    const { importFiles } = await import('./import.ts');
    await ends(importFiles(readConfig(), files, options));
  });

program
  .command('export')
  .description('write events, all of them or a range of days')
  .addOption(new Option('--format <format>').choices(['ndjson', 'csv', 'parquet']).default('ndjson'))
  .option('--from <day>', 'first day, YYYY-MM-DD')
  .option('--to <day>', 'last day, YYYY-MM-DD')
  .option('--output <file>', 'default: standard output; parquet needs a file')
  .action(
    async (options: {
      format: 'ndjson' | 'csv' | 'parquet';
      from?: string;
      to?: string;
      output?: string;
    }) => {
      const { exportEvents } = await import('./export.ts');
      await ends(exportEvents(readConfig(), { ...options, umask: userUmask }));
    },
  );

program
  .command('backup')
  .argument('<directory>', 'missing or empty')
  .description('write a consistent copy, also while the server runs')
  .action(async (directory: string) => {
    const { backup } = await import('./backup.ts');
    await ends(backup(readConfig(), directory));
  });

program
  .command('restore')
  .argument('<directory>', 'a backup')
  .description('put a backup into the data directory; the server must be stopped')
  .option('--force', 'move what the data directory holds aside first')
  .option('--without-manifest', 'take a backup of an older Daybook, which nothing tells to be whole')
  .action(async (directory: string, options: { force?: boolean; withoutManifest?: boolean }) => {
    const { restore } = await import('./backup.ts');
    const { force = false, withoutManifest = false } = options;
    await ends(restore(readConfig(), directory, { force, withoutManifest }));
  });

program
  .command('verify')
  .description('recompute every rollup from the rows and compare')
  .action(async () => {
    const { verify } = await import('./verify.ts');
    await ends(verify(readConfig()));
  });

program
  .command('dead-letters')
  .description('print the newest events that could not be counted, one JSON object a line')
  .option('--limit <n>', 'how many', '100')
  .action(async (options: { limit: string }) => {
    const { deadLetters } = await import('./dead-letters.ts');
    await ends(deadLetters(readConfig(), whole(options.limit)));
  });

program
  .command('doctor')
  .description('check configuration, disk and stores, and say what to do')
  .option('--backup <directory>', 'check a backup instead: that it is whole, and every byte as it was')
  .action(async (options: { backup?: string }) => {
    const { checkBackup, doctor } = await import('./doctor.ts');
    await ends(options.backup === undefined ? doctor(process.env) : checkBackup(options.backup));
  });

const gcp = program.command('gcp').description('Google Cloud: make what is missing, and try it');

const rights = (command: Command) =>
  command
    .option('--writer <email>', 'account that the subscriptions write as; default: that of Pub/Sub itself')
    .option('--server <member>', 'IAM member that the server runs as, to be given its rights')
    .option('--project-number <number>', 'default: looked up');

rights(gcp.command('provision'))
  .description('print what topic, subscriptions, tables, views and rights are missing, then make them')
  .option('--dry-run', 'print only')
  .option(
    '--scheduler <email>',
    'account that the scheduled query runs as; default: daybook-daily of the project',
  )
  .option('--no-scheduler', 'make no scheduled query: each report reads the views')
  .action(async (options: ProvisionOptions) => {
    const { provision } = await import('./gcp-provision.ts');
    await ends(provision(readConfig(), options));
  });

rights(gcp.command('smoke'))
  .description('try the whole way on the project with resources of its own, and delete them')
  .action(async (options: ProvisionOptions) => {
    const { smoke } = await import('./gcp-smoke.ts');
    await ends(smoke(readConfig(), options));
  });

async function ends(run: Run): Promise<void> {
  process.exitCode = await run;
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`"${text}" is not a whole number`);
  return Number(text);
}

/** A first word that is no command would be taken for an argument of `serve`. */
function checkCommand([name]: readonly string[]): void {
  const names = ['help', ...program.commands.map((command) => command.name())];
  if (name === undefined || name.startsWith('-') || names.includes(name)) return;
  throw new UsageError(`there is no command "${name}"\n\n${program.helpInformation().trimEnd()}`);
}

/** Does what the arguments of the process say; its exit code tells how it went. */
export async function main(): Promise<void> {
  // Who reads has read enough, as `head` does; a command that writes on is not told twice.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    checkCommand(process.argv.slice(2));
    addEnvFile(process.env);
    await program.parseAsync();
  } catch (error) {
    const code = explainStart(error);
    process.exitCode = error instanceof UsageError ? EX_USAGE : code;
  }
}
