import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** A file of a backup. */
export interface BackupFile {
  /** Relative to the backup. */
  readonly path: string;
  readonly bytes: number;
  /** Of the contents, in hexadecimal digits. */
  readonly sha256: string;
}

const CHUNK_BYTES = 1_024 * 1_024;

/** Reads a file once, in chunks, where asked for after it was synced. */
export async function describeFile(directory: string, path: string, sync: boolean): Promise<BackupFile> {
  const file = await openFile(join(directory, path));
  try {
    if (sync) await file.sync();
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of chunksOf(file)) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    return { path, bytes, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

/** Copies a file into a new one that its owner alone can read, and syncs it. Follows no link. */
export async function copyNewFile(from: string, to: string): Promise<void> {
  const source = await openFile(from);
  try {
    const target = await open(to, 'wx', 0o600);
    try {
      for await (const chunk of chunksOf(source)) await target.writeFile(chunk);
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** @throws Error when it is a link, or anything that is no file, such as a pipe, which is not waited for */
async function openFile(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new Error(`${path} is no file`);
}

/** A chunk is good until the next one is asked for. */
async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}
