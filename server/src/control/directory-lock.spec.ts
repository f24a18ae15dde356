import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryInUseError, DirectoryLock, serverOrLock } from './directory-lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const lockFile = () => join(directory, 'lock');

/** Another process that holds the lock until it is killed. */
async function holder(): Promise<{ kill(): Promise<void> }> {
  const module = join(import.meta.dirname, 'directory-lock.ts');
  const script = `const { DirectoryLock } = await import(${JSON.stringify(module)});
    globalThis.lock = await DirectoryLock.acquire(${JSON.stringify(directory)});
    process.stdout.write('locked'); setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

describe('DirectoryLock', () => {
  it('keeps a second process off until the first one is killed', async () => {
    const other = await holder();
    await expect(DirectoryLock.acquire(directory)).rejects.toThrow(DirectoryInUseError);
    await other.kill();
    const lock = await DirectoryLock.acquire(directory);
    expect(lock.loss()).toBeUndefined();
    lock.release();
  });

  it('keeps a second user in the same process off, and can be taken again once released', async () => {
    const lock = await DirectoryLock.acquire(directory);
    await expect(DirectoryLock.acquire(directory)).rejects.toThrow(/another process uses/);
    lock.release();
    lock.release();
    (await DirectoryLock.acquire(directory)).release();
  });

  it('makes its file anew when that was removed', async () => {
    const lock = await DirectoryLock.acquire(directory);
    rmSync(lockFile());
    expect(lock.loss()).toBeUndefined();
    await expect(DirectoryLock.acquire(directory)).rejects.toThrow(/another process uses/);
    lock.release();
  });

  it('is lost to the process that was faster after its file was removed', async () => {
    const lock = await DirectoryLock.acquire(directory);
    rmSync(lockFile());
    const other = await holder();
    expect(lock.loss()).toMatch(/lock was removed, and the directory .* belongs to another process now/);
    await other.kill();
    lock.release();
  });

  it('is lost with the directory', async () => {
    const lock = await DirectoryLock.acquire(directory);
    rmSync(directory, { recursive: true });
    expect(lock.loss()).toMatch(/the directory is gone/);
    lock.release();
  });

  it('comes to a second process only after an owner whose lock file was removed has noticed', async () => {
    writeFileSync(join(directory, 'some data'), '');
    const lock = await DirectoryLock.acquire(directory);
    // The second one waits for the lock already when the file goes.
    const waiting = DirectoryLock.acquire(directory);
    await sleep(120);
    // The owner looks every 250 ms, and just did.
    expect(lock.loss()).toBeUndefined();
    rmSync(lockFile());
    const noticed = new Promise<number>((done) => {
      const watch = setInterval(() => {
        if (lock.loss() === undefined) return;
        clearInterval(watch);
        done(performance.now());
      }, 250);
    });
    const second = await waiting;
    expect(performance.now() - (await noticed)).toBeGreaterThan(250);
    second.release();
    lock.release();
  });

  it('is not made anew by an owner that has not looked for long, although nobody has it', async () => {
    const lock = await DirectoryLock.acquire(directory);
    rmSync(lockFile());
    const heldUntilMs = performance.now() + 600;
    while (performance.now() < heldUntilMs);
    expect(lock.loss()).toMatch(/lock was removed/);
    lock.release();
  });

  it('is had at once in an empty directory, and by a process that comes later', async () => {
    const startedMs = performance.now();
    (await DirectoryLock.acquire(directory)).release();
    writeFileSync(join(directory, 'some data'), '');
    await sleep(1_000);
    const laterMs = performance.now();
    (await DirectoryLock.acquire(directory)).release();
    expect(laterMs - startedMs).toBeLessThan(1_900);
    expect(performance.now() - laterMs).toBeLessThan(900);
  });

  it('refuses what is no file of its own', async () => {
    symlinkSync('/etc/passwd', lockFile());
    await expect(DirectoryLock.acquire(directory)).rejects.toThrow(/is not a plain file: remove it/);
    rmSync(lockFile());
    mkdirSync(lockFile());
    await expect(DirectoryLock.acquire(directory)).rejects.toThrow(/is not a plain file: remove it/);
    rmSync(lockFile(), { recursive: true });
    writeFileSync(
      lockFile(),
      'not made by Daybook, and long enough to be read as a file of SQLite'.repeat(20),
    );
    await expect(DirectoryLock.acquire(directory)).rejects.toThrow(/cannot be locked/);
  });

  it('is what a command gets where no server runs', async () => {
    const found = await serverOrLock(directory);
    expect(found).toHaveProperty('lock');
    if ('lock' in found) found.lock.release();
  });
});
