import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** How long an engine may take to start, in milliseconds. */
const START_TIMEOUT_MS = 60_000;
/** How long it may take to end by itself once its standard input is closed. */
const STOP_TIMEOUT_MS = 3_000;
/** What is kept of its log: the end. */
const LOG_CHARS_MAX = 200_000;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What it writes, on either stream, once it serves. */
  readonly ready: RegExp;
  /** The signal that ends it, for an engine that does not watch its standard input. */
  readonly ends?: NodeJS.Signals;
}

export interface EngineProcess {
  readonly pid: number;
  /** What `ready` matched. */
  readonly match: RegExpExecArray;
  /** The end of what it wrote. */
  log(): string;
  stop(): Promise<void>;
}

/** Starts an engine and waits until it serves. It ends with this process: its standard input closes then. */
export async function startProcess(options: ProcessOptions): Promise<EngineProcess> {
  const child = spawn(options.command, options.args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  running.add(child);
  const exit = once(child, 'exit').finally(() => running.delete(child));
  exit.catch(() => undefined);
  // Its input may close before ours: an engine that was killed is a test's own wish.
  child.stdin.on('error', () => undefined);
  let log = '';
  let ready = false;
  const match = await new Promise<RegExpExecArray>((done, fail) => {
    const late = setTimeout(
      () => fail(new Error(`${options.command} does not serve:\n${log}`)),
      START_TIMEOUT_MS,
    );
    const hear = (chunk: string) => {
      log = (log + chunk).slice(-LOG_CHARS_MAX);
      const found = ready ? null : options.ready.exec(log);
      if (found === null) return;
      ready = true;
      clearTimeout(late);
      done(found);
    };
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
    const gone = (reason: unknown) => {
      clearTimeout(late);
      fail(new Error(`${options.command} ended before it served (${String(reason)}):\n${log}`));
    };
    child.once('error', gone).once('exit', (code, signal) => gone(code ?? signal));
  });
  return { pid: child.pid!, match, log: () => log, stop: () => stopProcess(child, exit, options.ends) };
}

async function stopProcess(
  child: ChildProcess,
  exit: Promise<unknown>,
  ends?: NodeJS.Signals,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin!.end();
  if (ends !== undefined) child.kill(ends);
  const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exit;
  clearTimeout(kill);
}

/** A loopback port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
