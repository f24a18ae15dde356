/** The settings that decide who can reach the server. */
export interface ExposureSettings {
  readonly HOST: string;
  readonly DAYBOOK_WRITE_KEYS: readonly string[];
  readonly DAYBOOK_READ_KEYS: readonly string[];
  readonly DAYBOOK_ALLOW_ANONYMOUS: 'on' | 'off';
  readonly DAYBOOK_MAKE_KEYS: 'on' | 'off';
}

const KEY_SETTINGS = ['DAYBOOK_WRITE_KEYS', 'DAYBOOK_READ_KEYS'] as const;

/** Key settings that must be set and are not: a server that other machines can reach asks for keys. */
export function missingKeys(env: ExposureSettings): readonly (typeof KEY_SETTINGS)[number][] {
  if (isLoopback(env.HOST) || env.DAYBOOK_ALLOW_ANONYMOUS === 'on') return [];
  return KEY_SETTINGS.filter((name) => env[name].length === 0);
}

/** Faults for keys that are missing; where an image asks for them, with the command that starts it with keys. */
export function exposureFaults(
  env: ExposureSettings,
  google: Readonly<Record<string, string>> | undefined,
  newKey: () => string,
): string[] {
  const missing = missingKeys(env);
  const makes = env.DAYBOOK_MAKE_KEYS === 'on';
  if (missing.length === 0 || (makes && google === undefined)) return [];
  if (makes) {
    return [
      `${missing.join(' and ')}: must be set, because HOST=${env.HOST} can be reached from other machines. With keys made just now:\n\n` +
        `${dockerCommand({ ...google, ...Object.fromEntries(missing.map((name) => [name, newKey()])) })}\n\n` +
        '  or DAYBOOK_ALLOW_ANONYMOUS=on, where a gateway in front checks who calls',
    ];
  }
  return missing.map(
    (name) =>
      `${name}: must be set, because HOST=${env.HOST} can be reached from other machines ` +
      '(or DAYBOOK_ALLOW_ANONYMOUS=on, where a gateway in front checks who calls)',
  );
}

/** How the image is started with these settings. The key file lies under its own name in the current folder of the host. */
function dockerCommand(settings: Readonly<Record<string, string>>): string {
  const file = settings['GOOGLE_APPLICATION_CREDENTIALS'];
  return [
    '  docker run -p 3000:3000',
    ...(file === undefined ? [] : [`    -v "$PWD"/${shellWord(`${file.split('/').at(-1)}:${file}:ro`)}`]),
    ...Object.entries(settings).map(([name, value]) => `    -e ${shellWord(`${name}=${value}`)}`),
    '    analytics-endpoint',
  ].join(' \\\n');
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** True for the addresses that only this machine can reach. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
