import { join } from 'node:path';
import { homeOf, sourceOf } from './engines.ts';
import { startProcess } from './process.ts';

/**
 * BigQuery's REST API and GoogleSQL on DuckDB: bqemulator, with the corrections of `bqemulator/*.py`.
 *
 * What it cannot do: count bytes (`totalBytesProcessed` is 0, `maximumBytesBilled` is not enforced), partition
 * pruning, refresh of materialized views (they are always fresh) and its rules (any query may be one), a
 * materialized view by REST (use DDL), columns added by `tables.patch` (use ALTER TABLE).
 */
export interface BigqueryEngine {
  readonly apiEndpoint: string;
  readonly projectId: string;
  /** For `new BigQuery(options)`. The token, which its types do not list, keeps it from looking for credentials. */
  readonly options: { readonly projectId: string; readonly apiEndpoint: string; readonly token: string };
  readonly pid: number;
  readonly env: Readonly<Record<string, string>>;
  log(): string;
  stop(): Promise<void>;
}

export interface BigqueryOptions {
  /** @default 0, a free one */
  readonly port?: number;
  /** @default 'daybook-test' */
  readonly projectId?: string;
}

/** Starts an empty BigQuery: no dataset, nothing kept when it stops. */
export async function startBigquery({
  port = 0,
  projectId = 'daybook-test',
}: BigqueryOptions = {}): Promise<BigqueryEngine> {
  const engine = await startProcess({
    command: 'python3',
    args: [
      join(sourceOf('bqemulator'), 'launch.py'),
      'start',
      `--rest-port=${port}`,
      '--grpc-port=0',
      `--project=${projectId}`,
      '--log-level=info',
    ],
    env: { PYTHONPATH: homeOf('bqemulator'), PYTHONDONTWRITEBYTECODE: '1' },
    ready: /Uvicorn running on (http:\/\/127\.0\.0\.1:\d+)/,
  });
  const apiEndpoint = engine.match[1]!;
  return {
    apiEndpoint,
    projectId,
    options: { projectId, apiEndpoint, token: 'any' },
    pid: engine.pid,
    env: {
      // The client takes this for the whole base of its URLs.
      BIGQUERY_EMULATOR_HOST: `${apiEndpoint}/bigquery/v2`,
      METADATA_SERVER_DETECTION: 'none',
    },
    log: () => engine.log(),
    stop: () => engine.stop(),
  };
}
