import { createApp } from './app.ts';
import { ConfigError, EX_CONFIG, readConfig } from './config.ts';
import { DirectoryError, PRIVATE_UMASK } from './control/data-directory.ts';
import { DirectoryInUseError } from './control/directory-lock.ts';
import { greeting } from './greeting.ts';
import { printableLines } from './printable.ts';

/** Serves until SIGTERM or SIGINT; the exit code says how it ended. */
export async function serve(env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const config = readConfig(env);
  process.umask(PRIVATE_UMASK);
  const app = await createApp(config);
  const url = await app.listen();
  process.stdout.write(greeting(url, config));
  const stop = (signal: NodeJS.Signals) => {
    app.parts.log.info({ signal }, 'shutting down');
    setTimeout(() => {
      app.parts.log.error('the shutdown took too long');
      process.exit(1);
    }, config.shutdownTimeoutMs).unref();
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        app.parts.log.error(error);
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

/** Prints why a command could not do its work, for people; a fault of ours comes with its stack. Returns the exit code. */
export function explainStart(error: unknown): number {
  const { message, stack, name } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof DirectoryError) return explainStart(new ConfigError([`DAYBOOK_DATA_DIR: ${message}`]));
  const text = EXPECTED.includes(name) ? message : (stack ?? message);
  process.stderr.write(`daybook: ${printableLines(text)}\n`);
  return error instanceof ConfigError ? EX_CONFIG : 1;
}

/** Names of errors whose message says all that there is to say. */
const EXPECTED: readonly string[] = [
  'Error',
  'StoreError',
  'UsageError',
  ConfigError.name,
  DirectoryInUseError.name,
];
