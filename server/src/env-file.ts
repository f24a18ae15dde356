import { lstatSync, readFileSync } from 'node:fs';
import { ConfigError } from './config.ts';

/** The file of settings, in the working directory. */
const ENV_FILE = '.env';

/** Bytes that it may have. */
const BYTES_MAX = 64 * 1_024;

/**
 * Adds the settings of `.env` in the working directory to an environment; what is set there already wins, also when it is empty.
 * No file: nothing is added.
 * @throws ConfigError with each line that cannot be read
 */
export function addEnvFile(env: NodeJS.ProcessEnv, path: string = ENV_FILE): void {
  const text = textOf(path);
  if (text === undefined) return;
  const { values, faults } = parseEnvFile(text);
  if (faults.length > 0) throw new ConfigError(faults.map((fault) => `${path}, ${fault}`));
  for (const [name, value] of values) env[name] ??= value;
}

function textOf(path: string): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  try {
    const bytes = readFileSync(path);
    if (bytes.length > BYTES_MAX)
      throw new Error(`it has ${bytes.length} bytes, at most ${BYTES_MAX} are allowed`);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ConfigError([`${path}: cannot be read: ${(error as Error).message}`]);
  }
}

interface EnvFile {
  readonly values: ReadonlyMap<string, string>;
  /** `line N: what is wrong`. No fault shows a value, which may be a key. */
  readonly faults: readonly string[];
}

/**
 * The text of an env file. One setting a line, `NAME=value`, also with `export` in front; empty lines and lines that start with
 * `#` are passed over. A value may stand in quotes: in single ones it is taken as it is, in double ones `\n`, `\"` and
 * `\\` are a newline, a quote and a backslash. Without quotes it ends at ` #` and loses the spaces around it. Nothing is expanded.
 */
export function parseEnvFile(text: string): EnvFile {
  const values = new Map<string, string>();
  const lines = new Map<string, number>();
  const faults: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const at = index + 1;
    const parsed = parseLine(line);
    if (typeof parsed === 'string') faults.push(`line ${at}: ${parsed}`);
    if (!Array.isArray(parsed)) continue;
    const [name, value] = parsed;
    const before = lines.get(name);
    if (before !== undefined) faults.push(`line ${at}: ${name} stands in line ${before} already`);
    lines.set(name, at);
    values.set(name, value);
  }
  return { values, faults };
}

/** Name and value, undefined where the line has none, or what is wrong with it. */
function parseLine(line: string): [string, string] | string | undefined {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return undefined;
  const [, name, rest] = /^(?:export\s+)?([A-Za-z_]\w*)\s*=(.*)$/.exec(text) ?? [];
  if (name === undefined || rest === undefined) return 'must be NAME=value';
  // eslint-disable-next-line no-control-regex
  if (/[\x00-\x08\x0b-\x1f\x7f]/.test(rest)) return `the value of ${name} has a control character`;
  const value = valueOf(rest.trim(), /^\s/.test(rest));
  return value === undefined
    ? `the quote of ${name} must end in the same line, with nothing but a comment behind it`
    : [name, value];
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', '"': '"', '\\': '\\' };

/** Undefined where a quote is not closed, or something follows it. */
function valueOf(text: string, spaced: boolean): string | undefined {
  const quote = text[0];
  if (quote !== '"' && quote !== "'") {
    const comment = spaced && quote === '#' ? 0 : text.search(/\s#/);
    return (comment === -1 ? text : text.slice(0, comment)).trim();
  }
  const quoted = quote === "'" ? /^'([^']*)'\s*(#.*)?$/ : /^"((?:[^"\\]|\\.)*)"\s*(#.*)?$/;
  const inner = quoted.exec(text)?.[1];
  if (inner === undefined || quote === "'") return inner;
  return inner.replaceAll(/\\(.)/g, (all, escaped: string) => ESCAPES[escaped] ?? all);
}
