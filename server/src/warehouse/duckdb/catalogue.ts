import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { StoreError } from '../../event/store-error.ts';
import { CLOSED_OPTIONS } from './confine.ts';
import { CREATE_MIGRATIONS, MIGRATIONS } from './migrations.ts';

/*
 * What a database may hold: what our migrations make, column by column, and nothing else. A view, a macro or a default
 * of somebody else's would be run as ours: a macro named `hash` is found before DuckDB's own. The queries below name
 * their functions in full for that reason, call no other, and read the catalogue's text without running anything of it.
 */

/** Lists that must be empty: kind → the query of their names. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['the view', named('view_name', 'duckdb_views')],
  ['the function', named('function_name', 'duckdb_functions')],
  ['the schema', named('schema_name', 'duckdb_schemas')],
  ['the type', named('type_name', 'duckdb_types')],
  ['the sequence', 'SELECT sequence_name FROM system.main.duckdb_sequences()'],
  ['the index', 'SELECT index_name FROM system.main.duckdb_indexes()'],
];

function named(column: string, list: string): string {
  return `SELECT ${column} FROM system.main.${list}() WHERE NOT internal`;
}

const TABLES = 'SELECT table_name, sql FROM system.main.duckdb_tables()';

/** Things named in one error. */
const NAMED_MAX = 5;
const NAME_LENGTH_MAX = 60;

/** Table → the statement that makes it, as DuckDB writes it: names, types, order, defaults and constraints. */
type Tables = ReadonlyMap<string, string>;

/**
 * Checks the catalogue of a database that was just opened and confined, before anything else is asked of it.
 * Errors: `corrupt` when it holds anything that our migrations do not make, or is newer than this Daybook.
 */
export async function checkCatalogue(connection: DuckDBConnection): Promise<void> {
  const strange: string[] = [];
  for (const [kind, sql] of FOREIGN) {
    const reader = await connection.runAndReadAll(sql);
    for (const [name] of reader.getRows()) strange.push(`${kind} ${shown(name)}`);
  }
  const tables = await tablesOf(connection);
  const versions = (expected ??= await expectedTables());
  if (!versions.some((known) => differences(tables, known).length === 0))
    strange.push(...differences(tables, versions.at(-1)!));
  if (strange.length === 0) return;
  // Read without a function, out of a table that is ours to the letter.
  if (tables.get('migrations') === versions[1]!.get('migrations')) {
    const reader = await connection.runAndReadAll('SELECT version FROM main.migrations');
    const version = reader.getRows().reduce((max, [value]) => Math.max(max, Number(value)), 0);
    if (version > MIGRATIONS.length) throw newer(version);
  }
  throw foreign(strange);
}

/** Errors of a file that a later Daybook has brought further. */
export function newer(version: number): StoreError {
  return new StoreError(
    'corrupt',
    `duckdb: the file has schema version ${version}, this Daybook knows ${MIGRATIONS.length}: start a newer Daybook`,
  );
}

function foreign(strange: readonly string[]): StoreError {
  const more = strange.length > NAMED_MAX ? ` and ${strange.length - NAMED_MAX} more` : '';
  return new StoreError(
    'corrupt',
    `duckdb: the database is not as Daybook makes it, and is not used: ${strange.slice(0, NAMED_MAX).join(', ')}${more}`,
  );
}

function differences(tables: Tables, known: Tables): string[] {
  return [
    ...[...known.keys()].filter((name) => !tables.has(name)).map((name) => `no table ${shown(name)}`),
    ...[...tables]
      .filter(([name, sql]) => known.get(name) !== sql)
      .map(([name]) =>
        known.has(name) ? `other columns in the table ${shown(name)}` : `the table ${shown(name)}`,
      ),
  ];
}

async function tablesOf(connection: DuckDBConnection): Promise<Tables> {
  const reader = await connection.runAndReadAll(TABLES);
  return new Map(reader.getRows().map(([name, sql]) => [String(name), String(sql)]));
}

/** Asked of DuckDB once in a process. */
let expected: readonly Tables[] | undefined;

/** What each version's tables are, from the empty database to the newest, as this DuckDB writes them. */
async function expectedTables(): Promise<readonly Tables[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', ...CLOSED_OPTIONS });
  const connection = await instance.connect();
  try {
    const versions = [await tablesOf(connection)];
    for (const sql of [CREATE_MIGRATIONS, ...MIGRATIONS]) {
      await connection.run(sql);
      versions.push(await tablesOf(connection));
    }
    return versions;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** A name out of the file, for people: in quotes, of bounded length, without control characters. */
function shown(name: unknown): string {
  const text = String(name).replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?');
  return `"${text.length > NAME_LENGTH_MAX ? `${text.slice(0, NAME_LENGTH_MAX)}…` : text}"`;
}
