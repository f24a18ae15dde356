import { startService } from './service.ts';
import {
  typeMessage,
  valueMessage,
  valueOf,
  type SqlType,
  type SqlValue,
  type TypeMessage,
  type ValueMessage,
} from './values.ts';

export type { SqlType, SqlValue } from './values.ts';

/** Table name → column → type. A name is written as the SQL writes it: `t`, `dataset.t`, `project.dataset.t`. */
export type Catalog = Readonly<Record<string, Readonly<Record<string, SqlType>>>>;
export type Parameters = Readonly<Record<string, { readonly type: SqlType; readonly value: SqlValue }>>;
export type Row = Readonly<Record<string, SqlValue>>;
/** Table name → its columns and rows. */
export type Tables = Readonly<
  Record<string, { readonly columns: Readonly<Record<string, SqlType>>; readonly rows: readonly Row[] }>
>;

export interface Analysis {
  /** The statement's node, e.g. `resolvedQueryStmtNode`, `resolvedCreateStatementNode`, `resolvedMergeStmtNode`. */
  readonly kind: string;
  /** The resolved tree. */
  readonly statement: object;
  /** A query's columns, in order. */
  readonly columns: readonly string[];
}

export interface Googlesql {
  readonly pid: number;
  /** Resolves a statement against a catalog; rejects with the engine's message. */
  analyze(sql: string, catalog?: Catalog, parameters?: Readonly<Record<string, SqlType>>): Promise<Analysis>;
  /**
   * Runs a query over tables in memory; DATE() and the like without a zone mean UTC.
   * The query names a dotted table in one pair of backticks: `` `dataset.t` ``.
   */
  evaluate(sql: string, parameters?: Parameters, tables?: Tables): Promise<Row[]>;
  stop(): Promise<void>;
}

/**
 * Options of tables and views that BigQuery knows; another name is an error.
 * https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
 */
const OPTIONS = (
  'description friendly_name labels tags expiration_timestamp kms_key_name partition_expiration_days ' +
  'require_partition_filter max_staleness enable_refresh refresh_interval_minutes ' +
  'allow_non_incremental_definition privacy_policy'
).split(' ');

/** Starts Google's GoogleSQL engine, set up as BigQuery's dialect. */
export async function startGooglesql(): Promise<Googlesql> {
  const service = await startService();
  const maximum = (await service.call('getLanguageOptions', { maximumFeatures: true })) as {
    enabledLanguageFeatures: string[];
  };
  const languageOptions = {
    ...maximum,
    enabledLanguageFeatures: [...new Set([...maximum.enabledLanguageFeatures, 'FEATURE_INTERVAL_TYPE'])],
    productMode: 'PRODUCT_EXTERNAL',
    reservedKeywords: ['QUALIFY'],
    // None listed: every kind is allowed.
    supportedStatementKinds: [],
  };
  const optionsOf = (types: Readonly<Record<string, SqlType>>) => ({
    languageOptions,
    defaultTimezone: 'UTC',
    parameterMode: 'PARAMETER_NAMED',
    queryParameters: Object.entries(types).map(([name, type]) => ({ name, type: typeMessage(type) })),
    allowedHintsAndOptions: { disallowUnknownOptions: true, option: OPTIONS.map((name) => ({ name })) },
  });
  const request = (catalog: Catalog, types: Readonly<Record<string, SqlType>>) => ({
    options: optionsOf(types),
    simpleCatalog: { ...catalogMessage(catalog), builtinFunctionOptions: { languageOptions } },
  });
  return {
    pid: service.pid,
    stop: () => service.stop(),
    analyze: async (sql, catalog = {}, parameters = {}) => {
      const answer = await service.call('analyze', { ...request(catalog, parameters), sqlStatement: sql });
      return analysisOf(answer as AnalyzeAnswer);
    },
    evaluate: async (sql, parameters = {}, tables = {}) => {
      const catalog = Object.fromEntries(
        Object.entries(tables).map(([name, table]) => [name, table.columns]),
      );
      const types = Object.fromEntries(Object.entries(parameters).map(([name, { type }]) => [name, type]));
      const answer = await service.call('evaluateQuery', {
        ...request(catalog, types),
        sql,
        tableContent: contentOf(tables),
        params: Object.entries(parameters).map(([name, { type, value }]) => ({
          name,
          value: valueMessage(value, type),
        })),
      });
      return rowsOf(answer as EvaluateAnswer);
    },
  };
}

interface AnalyzeAnswer {
  readonly resolvedStatement: { readonly node: string } & Readonly<Record<string, object>>;
}
interface EvaluateAnswer {
  readonly content?: {
    readonly tableData?: { readonly row?: readonly { readonly cell?: readonly ValueMessage[] }[] };
  };
  readonly prepared: { readonly columns?: readonly { readonly name?: string; readonly type: TypeMessage }[] };
}

interface NamedTable {
  readonly path: string;
  readonly table: object;
}

/** A catalog for the wire. A dotted name is reached both as `` `a.b` `` (one identifier) and as a.b (a path). */
function catalogMessage(catalog: Catalog): object {
  const tables = Object.entries(catalog).map(([path, columns], index) => {
    const column = Object.entries(columns).map(([name, type]) => ({ name, type: typeMessage(type) }));
    return { path, table: { serializationId: index + 1, column } };
  });
  return level('bigquery', tables);
}

function level(name: string, tables: readonly NamedTable[]): object {
  const below = new Map<string, NamedTable[]>();
  for (const { path, table } of tables) {
    const dot = path.indexOf('.');
    if (dot < 0) continue;
    const folder = path.slice(0, dot);
    below.set(folder, [...(below.get(folder) ?? []), { path: path.slice(dot + 1), table }]);
  }
  return {
    name,
    table: tables.map(({ path, table }) => ({ ...table, name: path })),
    catalog: [...below].map(([folder, members]) => level(folder, members)),
  };
}

function contentOf(tables: Tables): object {
  const contents = Object.entries(tables).map(([name, { columns, rows }]) => {
    const row = rows.map((values) => ({
      cell: Object.entries(columns).map(([column, type]) => valueMessage(values[column] ?? null, type)),
    }));
    return [name, { tableData: { row } }] as const;
  });
  return Object.fromEntries(contents);
}

function analysisOf({ resolvedStatement }: AnalyzeAnswer): Analysis {
  const kind = resolvedStatement.node;
  const statement = resolvedStatement[kind] ?? {};
  const { outputColumnList = [] } = statement as { outputColumnList?: readonly { name: string }[] };
  return { kind, statement, columns: outputColumnList.map(({ name }) => name) };
}

function rowsOf({ content, prepared }: EvaluateAnswer): Row[] {
  const columns = prepared.columns ?? [];
  return (content?.tableData?.row ?? []).map(({ cell = [] }) =>
    Object.fromEntries(columns.map(({ name = '', type }, index) => [name, valueOf(cell[index], type)])),
  );
}
