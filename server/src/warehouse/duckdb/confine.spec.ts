import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventLines } from '../../event/lines.ts';
import { GOLDEN_BATCHES } from '../../../test/fixtures/golden.ts';
import { linesOf } from '../conformance.ts';
import { EXPORTS_DIRECTORY } from './confine.ts';
import { MIGRATIONS } from './migrations.ts';
import { DUCKDB_FILE } from './open-file.ts';
import { DuckdbWarehouse } from './warehouse.ts';

/* DuckDB files that were made by hand: nothing in them runs, and DuckDB reaches no file but its own. */

let root: string;
let directory: string;
let warehouse: DuckdbWarehouse;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'daybook-confine-'));
  directory = join(root, 'data');
  mkdirSync(directory);
  warehouse = made(directory);
});
afterEach(async () => {
  await warehouse.close();
  rmSync(root, { recursive: true, force: true });
});

const made = (at: string) =>
  new DuckdbWarehouse({ directory: at, timezone: 'UTC', memoryBytesMax: 256 * 1_024 * 1_024, threads: 2 });

const golden = (end: number) => ({
  lines: EventLines.of(linesOf(GOLDEN_BATCHES.flat())),
  deadLetters: [],
  position: { source: 's', end },
  nowUs: 1,
});

const ask = (sql: string) => warehouse.query({ sql, params: {} }, { timeoutMs: 50_000 });

/** Works on the file as anybody could, with a DuckDB that is not confined. */
async function byHand(work: (connection: DuckDBConnection) => Promise<unknown>): Promise<void> {
  const instance = await DuckDBInstance.create(join(directory, DUCKDB_FILE));
  const connection = await instance.connect();
  await work(connection);
  connection.closeSync();
  instance.closeSync();
}

/** A file with our tables and two events. */
async function ours(): Promise<void> {
  await warehouse.open();
  await warehouse.insert(golden(100));
  await warehouse.close();
}

const SECRET = 'the secret of another file';

describe('an open warehouse', () => {
  it.each([
    ['reads', (path: string) => `SELECT content FROM read_text('${path}')`],
    ['reads as CSV', (path: string) => `SELECT * FROM read_csv('${path}', header = false)`],
    ['reads as a blob', (path: string) => `SELECT content FROM read_blob('${path}')`],
    ['reads as JSON', (path: string) => `SELECT * FROM read_json('${path}')`],
    ['reads as Parquet', (path: string) => `SELECT * FROM read_parquet('${path}')`],
    ['lists', (path: string) => `SELECT * FROM glob('${path}*')`],
    ['writes', (path: string) => `COPY (SELECT 1 AS n) TO '${path}.new'`],
    ['writes over', (path: string) => `COPY (SELECT 1 AS n) TO '${path}'`],
    ['attaches', (path: string) => `ATTACH '${path}.duckdb' AS other`],
    ['exports to', (path: string) => `EXPORT DATABASE '${path}.folder'`],
    ['loads an extension from', (path: string) => `LOAD '${path}'`],
    ['installs an extension from', (path: string) => `INSTALL '${path}'`],
  ])('regression: %s no file but its own', async (_, statement) => {
    await warehouse.open();
    await warehouse.insert(golden(1));
    for (const path of [join(root, 'secret'), join(directory, 'secret'), join(directory, 'exports-not')]) {
      writeFileSync(path, SECRET);
      await expect(ask(statement(path)), path).rejects.toThrow(/disabled/);
      expect(readFileSync(path, 'utf8')).toBe(SECRET);
    }
    expect(readdirSync(root).toSorted()).toEqual(['data', 'secret']);
  });

  it('regression: does not follow links out of the folder of exports', async () => {
    await warehouse.open();
    writeFileSync(join(root, 'secret'), SECRET);
    const exports = join(directory, EXPORTS_DIRECTORY);
    mkdirSync(exports);
    symlinkSync(join(root, 'secret'), join(exports, 'link'));
    symlinkSync(root, join(exports, 'up'));
    for (const path of ['link', 'up/secret', '../secret', '../../secret']) {
      await expect(ask(`SELECT * FROM read_text('${join(exports, '.')}/${path}')`), path).rejects.toThrow(
        /disabled/,
      );
      await expect(ask(`COPY (SELECT 1) TO '${exports}/${path}'`), path).rejects.toThrow(/disabled/);
    }
    expect(readFileSync(join(root, 'secret'), 'utf8')).toBe(SECRET);
  });

  it('regression: keeps its settings for good, and takes no extension from outside', async () => {
    await warehouse.open();
    for (const sql of [
      'SET enable_external_access = true',
      'SET lock_configuration = false',
      `SET allowed_directories = ['/']`,
      'INSTALL httpfs',
      'LOAD httpfs',
      `CREATE PERSISTENT SECRET s (TYPE http)`,
    ])
      await expect(ask(sql), sql).rejects.toThrow();
    expect(await ask(`SELECT current_setting('enable_external_access') AS on`)).toEqual([{ on: false }]);
  });

  it('writes exports of every format to its folder, spills, and knows timezones', async () => {
    await warehouse.open();
    await warehouse.insert(golden(1));
    const exports = join(directory, EXPORTS_DIRECTORY);
    mkdirSync(exports);
    for (const format of ['ndjson', 'csv', 'parquet'] as const) {
      const path = join(exports, format);
      await warehouse.exportTo({ format, path });
      expect(readFileSync(path).length, format).toBeGreaterThan(100);
    }
    expect(
      await ask(
        `SELECT CAST(timezone('Europe/Helsinki', TIMESTAMPTZ '2020-01-01 00:00:00+00') AS VARCHAR) AS t`,
      ),
    ).toEqual([{ t: '2020-01-01 02:00:00' }]);
    const [row] = await ask(
      `SELECT count(*) AS n, max(length(s)) AS s FROM (SELECT s, row_number() OVER (ORDER BY h) AS r
       FROM (SELECT hash(range) AS h, range::VARCHAR || repeat('x', 400) AS s FROM range(800_000)))`,
    );
    expect(row).toEqual({ n: 800_000, s: 406 });
  });

  it.each(["quo'te", 'a space', 'st*r', 'brac[ket]s', 'größe'])(
    'regression: works in a directory named %s',
    async (name) => {
      const odd = join(root, name);
      mkdirSync(odd);
      const other = made(odd);
      await other.open();
      expect((await other.insert(golden(1))).inserted).toBeGreaterThan(0);
      mkdirSync(join(odd, EXPORTS_DIRECTORY));
      await other.exportTo({ format: 'csv', path: join(odd, EXPORTS_DIRECTORY, 'x.csv') });
      await other.close();
    },
  );

  it('regression: does not write a batch over the target of a link', async () => {
    await warehouse.open();
    const target = join(root, 'target');
    writeFileSync(target, SECRET);
    symlinkSync(target, join(directory, 'loading.ndjson'));
    expect((await warehouse.insert(golden(1))).inserted).toBeGreaterThan(0);
    expect(readFileSync(target, 'utf8')).toBe(SECRET);
  });

  it('works in a directory that is reached over a link', async () => {
    symlinkSync(directory, join(root, 'link'));
    const other = made(join(root, 'link'));
    await other.open();
    expect((await other.insert(golden(1))).inserted).toBeGreaterThan(0);
    mkdirSync(join(directory, EXPORTS_DIRECTORY));
    for (const at of ['link', 'data'])
      await other.exportTo({ format: 'csv', path: join(root, at, EXPORTS_DIRECTORY, 'x.csv') });
    await other.close();
  });
});

/** Name → what is done to our file, and what the error must name. */
const FOREIGN: Readonly<Record<string, readonly [string[], string]>> = {
  'a view': [['CREATE VIEW peek AS SELECT 1 AS n'], 'the view "peek"'],
  'a view in place of a table': [
    ['DROP TABLE daily', `CREATE VIEW daily AS SELECT 'default' AS project, DATE '2020-01-01' AS day`],
    'the view "daily"',
  ],
  'a table macro': [[`CREATE MACRO peek() AS TABLE SELECT 1 AS n`], 'the function "peek"'],
  "a macro in place of DuckDB's function": [['CREATE MACRO hash(x) AS 0'], 'the function "hash"'],
  'macros that hide it from the check': [
    [
      'CREATE MACRO duckdb_views() AS TABLE SELECT 1 AS view_name, true AS internal',
      'CREATE MACRO duckdb_functions() AS TABLE SELECT 1 AS function_name, true AS internal',
      'CREATE VIEW peek AS SELECT 1 AS n',
    ],
    'the function "duckdb_functions"',
  ],
  'another table': [['CREATE TABLE other (n INTEGER)'], 'the table "other"'],
  'another schema': [['CREATE SCHEMA other', 'CREATE TABLE other.t (n INTEGER)'], 'the schema "other"'],
  'a sequence': [['CREATE SEQUENCE counter'], 'the sequence "counter"'],
  'a type': [[`CREATE TYPE mood AS ENUM ('sad', 'ok')`], 'the type "mood"'],
  'an index': [['CREATE INDEX by_user ON users (user_id)'], 'the index "by_user"'],
  'another column': [['ALTER TABLE users ADD COLUMN more VARCHAR'], 'other columns in the table "users"'],
  'a column that is missing': [['ALTER TABLE users DROP COLUMN user_id'], '"users"'],
  'a default': [[`ALTER TABLE users ALTER user_id SET DEFAULT 'x'`], '"users"'],
  'another type of a column': [['ALTER TABLE daily ALTER new_users TYPE VARCHAR'], '"daily"'],
  'a column that is computed': [
    [
      'DROP TABLE settings',
      `CREATE TABLE settings (name VARCHAR NOT NULL, value VARCHAR GENERATED ALWAYS AS (name || '!') VIRTUAL)`,
    ],
    '"settings"',
  ],
  'a table that is missing': [['DROP TABLE dead_letters'], 'no table "dead_letters"'],
  'a name with control characters': [['CREATE TABLE "a\u001b[2Jb\u009b\u202e" (n INTEGER)'], 'a?[2Jb??'],
};

describe('a file that was changed by hand', () => {
  it.each(Object.entries(FOREIGN))('regression: to hold %s is refused', async (_, [statements, text]) => {
    await ours();
    await byHand(async (connection) => {
      for (const sql of statements) await connection.run(sql);
    });
    for (const _again of [1, 2]) {
      const error: Error = await warehouse.open().then(
        () => expect.unreachable('it was opened'),
        (reason: Error) => reason,
      );
      expect(error).toMatchObject({ code: 'corrupt', message: expect.stringContaining(text) });
      // oxlint-disable-next-line no-control-regex -- none of them may come through
      expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
    // It is not held either: who looks for the fault can open it.
    await byHand((connection) => connection.run('SELECT 1'));
  });

  it.each(['in the file', 'in its log'])(
    'regression: a view that reads another file is not run, %s',
    async (where) => {
      await ours();
      // Who opens a pipe waits until somebody writes to it: what runs the view does not come back.
      const pipe = join(root, 'pipe');
      const held = join(root, 'held');
      execFileSync('mkfifo', [pipe]);
      const text = join(root, 'text.csv');
      writeFileSync(text, 'n\n1\n');
      const sql = [
        'CHECKPOINT',
        'DROP TABLE daily',
        `CREATE VIEW daily AS SELECT * FROM read_csv('${text}')`,
        `CREATE MACRO peek() AS TABLE SELECT * FROM read_csv('${text}')`,
      ];
      await byHand(async (connection) => {
        if (where === 'in its log') {
          await connection.run('PRAGMA disable_checkpoint_on_shutdown');
          await connection.run(`SET checkpoint_threshold = '1GB'`);
        }
        for (const statement of sql) await connection.run(statement);
      });
      expect(existsSync(join(directory, `${DUCKDB_FILE}.wal`))).toBe(where === 'in its log');
      renameSync(text, held);
      renameSync(pipe, text);
      await expect(warehouse.open()).rejects.toMatchObject({
        code: 'corrupt',
        message: expect.stringContaining('the view "daily"'),
      });
    },
  );

  it('still says so when it is only newer', async () => {
    await ours();
    await byHand(async (connection) => {
      await connection.run('CREATE TABLE tomorrow (n INTEGER)');
      await connection.run(`INSERT INTO migrations VALUES (${MIGRATIONS.length + 1}, now()::TIMESTAMP)`);
    });
    await expect(warehouse.open()).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining(`schema version ${MIGRATIONS.length + 1}`),
    });
  });

  it.each(MIGRATIONS.map((_, version) => version))(
    'is brought up to date from version %i',
    async (version) => {
      await byHand(async (connection) => {
        await connection.run(
          'CREATE TABLE migrations (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)',
        );
        for (const [index, sql] of MIGRATIONS.slice(0, version).entries()) {
          await connection.run(sql);
          await connection.run(`INSERT INTO migrations VALUES (${index + 1}, now()::TIMESTAMP)`);
        }
      });
      await warehouse.open();
      expect((await warehouse.insert(golden(1))).inserted).toBeGreaterThan(0);
      expect(await warehouse.verify()).toEqual([]);
    },
  );

  it.each(['', '.wal'])('regression: that is a link (%s) is refused, and its target stays', async (end) => {
    await ours();
    const path = join(directory, DUCKDB_FILE + end);
    const target = join(root, 'target');
    if (end === '') renameSync(path, target);
    else writeFileSync(target, '');
    const before = readFileSync(target);
    symlinkSync(target, path);
    await expect(warehouse.open()).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('is a link'),
    });
    expect(readFileSync(target).equals(before)).toBe(true);
  });
});
