import { storedKeys } from './access/stored-keys.ts';
import { createApp } from './app.ts';
import { ConfigError, EX_CONFIG, randomKey, readConfig, type Config } from './config.ts';
import { DirectoryError, makeDataDirectory, PRIVATE_UMASK } from './control/data-directory.ts';
import { DirectoryInUseError, DirectoryLock } from './control/directory-lock.ts';
import { checkCredentialsFile } from './credentials.ts';
import { addEnvFile } from './env-file.ts';
import { greeting, madeKeysText } from './greeting.ts';
import { printableLines } from './printable.ts';

/** Serves with the settings of the environment and of `.env` in the working directory. */
export async function start(): Promise<void> {
  addEnvFile(process.env);
  await serve();
}

/** Serves until SIGTERM or SIGINT; the exit code says how it ended. */
export async function serve(env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const read = readConfig(env);
  checkCredentialsFile(read);
  process.umask(PRIVATE_UMASK);
  const config = await withStoredKeys(read);
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

/** Makes the keys that are missing, where the server is to make them, and shows them this once. */
async function withStoredKeys(config: Config): Promise<Config> {
  const { keysToMake, dataDirectory } = config;
  if (keysToMake.length === 0) return config;
  makeDataDirectory(dataDirectory);
  const needed = keysToMake.map((name) => (name === 'DAYBOOK_WRITE_KEYS' ? 'write' : 'read'));
  // Two starts at the same time must not make different keys.
  const lock = await DirectoryLock.acquire(dataDirectory);
  const keys = await lock.during(() => storedKeys(dataDirectory, needed, randomKey));
  if (Object.keys(keys.made).length > 0) process.stdout.write(madeKeysText(keys));
  return { ...config, keyHashes: keys.hashes };
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
