import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join, resolve } from 'node:path';

/** The built server; `npm run build` makes it. */
export const MAIN = resolve(import.meta.dirname, '../../dist/main.js');

/** The built `daybook`. */
export const COMMAND = resolve(import.meta.dirname, '../../dist/cli/daybook.js');

/** How long a server may take to listen, in milliseconds. */
const START_TIMEOUT_MS = 60_000;

/** Processes that run; each leads a group of its own, so that its children end with it. */
const running = new Set<ChildProcess>();
process.once('exit', killServers);

export interface ServerOptions {
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The folder that it runs in, whose `.env` it reads. Default: that of this process. */
  readonly cwd?: string;
  /** The program. Default: the built server of this repository. */
  readonly main?: string;
  /** Runs the server under a command, e.g. strace with its options. */
  readonly under?: readonly string[];
}

/** How a process ended: its exit code, or the signal that ended it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ServerProcess {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** Resolves with the base URL once the server listens; rejects when it ends before. */
  readonly ready: Promise<string>;
  /** What it wrote to standard error so far. */
  log(): string;
  /** What it wrote to standard output so far. */
  output(): string;
  kill(signal: NodeJS.Signals): Promise<Exit>;
}

/** Starts the built server on a free port. Does not wait: see `ready`. */
export function spawnServer({
  directory,
  env = {},
  under = [],
  cwd,
  main = MAIN,
}: ServerOptions): ServerProcess {
  const [command, ...args] = [...under, process.execPath, main];
  const child = spawn(command, args, {
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      DAYBOOK_DATA_DIR: directory,
      DAYBOOK_LOG_REQUESTS: 'none',
      ...env,
    },
  });
  running.add(child);
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk));
  const exit = once(child, 'exit').then(([code, signal]): Exit => {
    running.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const ready = listening(child, () => log);
  // A server that is killed before it listens is not a fault of its own.
  ready.catch(() => undefined);
  return {
    pid: child.pid!,
    exit,
    ready,
    log: () => log,
    output: () => output,
    kill: (signal) => {
      child.kill(signal);
      return exit;
    },
  };
}

/** Starts the built server and waits until it listens. */
export async function startServer(options: ServerOptions): Promise<ServerProcess & { readonly url: string }> {
  const server = spawnServer(options);
  return { ...server, url: await server.ready };
}

function listening(child: ChildProcess, log: () => string): Promise<string> {
  return new Promise((done, fail) => {
    let text = '';
    const late = setTimeout(() => fail(new Error(`the server does not listen:\n${log()}`)), START_TIMEOUT_MS);
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const url = /Daybook listens on (\S+)/.exec(text)?.[1];
      if (url === undefined) return;
      clearTimeout(late);
      done(url);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      fail(new Error(`the server ended with ${code ?? signal}:\n${log()}`));
    });
  });
}

/** Ends every process that was started here and still runs, with its children. For `afterEach`. */
export function killServers(): void {
  for (const child of running) {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}

/** Sends a command to a running server over its control socket, e.g. `drain` with a limit in milliseconds. */
export function control(directory: string, command: string, argument: unknown = null): Promise<unknown> {
  return new Promise((done, fail) => {
    const socketPath = join(directory, 'control.sock');
    const sent = request({ socketPath, path: `/${command}`, method: 'POST' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', fail).on('end', () => {
        const answer = JSON.parse(text) as { value: unknown } | { error: string };
        if ('value' in answer) done(answer.value);
        else fail(new Error(`${command}: ${answer.error}`));
      });
    });
    sent.on('error', fail).end(JSON.stringify(argument));
  });
}

export interface CommandOptions {
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** Then it is ended. Default: never. */
  readonly timeoutMs?: number;
}

/** How a command ended; -1 where it has no exit code. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the built `daybook` on a data directory, as a process of its own. */
export function runCommand(
  args: readonly string[],
  { directory, env = {}, cwd, input = '', timeoutMs = 0 }: CommandOptions,
): Promise<Ended> {
  return new Promise((done) => {
    const all = { PATH: process.env['PATH'], DAYBOOK_DATA_DIR: directory, ...env };
    const options = { env: all, cwd, timeout: timeoutMs };
    const child = execFile(process.execPath, [COMMAND, ...args], options, (error, out, err) =>
      done({ code: error === null ? 0 : Number(error.code ?? -1), out, err }),
    );
    child.stdin!.on('error', () => undefined).end(input);
  });
}
