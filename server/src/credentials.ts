import { readFileSync, statSync } from 'node:fs';
import { ConfigError, type Config } from './config.ts';
import { parseJson } from './event/strict-json.ts';

/**
 * Looks at the key file that Google's clients will read, before they fail at the first event.
 * @throws ConfigError that says what is wrong with it
 */
export function checkCredentialsFile({ warehouse, google }: Pick<Config, 'warehouse' | 'google'>): void {
  const { credentialsFile: path } = google;
  if (warehouse !== 'bigquery' || path === undefined) return;
  const fault = faultOf(path);
  if (fault !== undefined) throw new ConfigError([`GOOGLE_APPLICATION_CREDENTIALS: ${path} ${fault}`]);
}

function faultOf(path: string): string | undefined {
  try {
    const key = parseJson(readFileSync(path, 'utf8')) as { type?: unknown } | null;
    if (typeof key?.type === 'string') return undefined;
    return 'is no key file of Google: it has no "type"';
  } catch (error) {
    if (error instanceof SyntaxError) return 'is no key file of Google: it is not JSON';
    return unreadable(path, error as NodeJS.ErrnoException);
  }
}

function unreadable(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'is not there';
  if (code === 'EISDIR') {
    return 'is a directory: a container engine makes one where the file to mount is missing on the host';
  }
  if (code !== 'EACCES') return `cannot be read: ${message}`;
  const user = `user ${process.getuid?.()}, group ${process.getgid?.()}`;
  const stats = statOf(path);
  if (stats === undefined) return `cannot be read by ${user}: a directory above it is closed to them`;
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
  return (
    `cannot be read by ${user}: its mode is ${mode}, its owner user ${stats.uid}, group ${stats.gid}. ` +
    `Give it to them ("chown ${process.getuid?.()}"), or run the image as its owner ("docker run --user ${stats.uid}:${stats.gid}")`
  );
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
