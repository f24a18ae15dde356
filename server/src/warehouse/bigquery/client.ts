import { loadGoogleClient, type IamPolicy } from '../../google.ts';
import { isDenied, isNotFound } from './errors.ts';
import type { BigqueryPlace } from './names.ts';

/*
 * What the driver uses of `@google-cloud/bigquery`, in its own terms: the package is optional and the sources compile without
 * it, so its types cannot be imported. The cloud tests compile the real client against these.
 */

export interface QueryJobOptions {
  readonly query: string;
  readonly params?: Record<string, string | number | null>;
  /** Types of the parameters that are null; the client infers the others. */
  readonly types?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly maximumBytesBilled?: string;
  readonly jobTimeoutMs?: number;
  readonly dryRun?: boolean;
  readonly useQueryCache?: boolean;
  /** Where the job runs: where the dataset lies. */
  readonly location?: string;
}

export interface BigqueryJob {
  readonly metadata: { readonly statistics?: { readonly totalBytesProcessed?: string } };
  getQueryResults(options: {
    readonly wrapIntegers?: boolean;
    readonly timeoutMs?: number;
  }): Promise<[unknown[], ...unknown[]]>;
  getMetadata(): Promise<
    [{ readonly statistics?: { readonly query?: { readonly totalBytesBilled?: string } } }, ...unknown[]]
  >;
  cancel(): Promise<unknown>;
}

interface TableField {
  readonly name?: string;
  readonly type?: string;
  /** NULLABLE where it is absent. */
  readonly mode?: string;
}

/** https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table */
export interface TableMetadata {
  readonly schema?: { readonly fields?: readonly TableField[] };
  readonly timePartitioning?: { readonly expirationMs?: string };
}

export interface BigqueryTable {
  getIamPolicy(): Promise<[IamPolicy, ...unknown[]]>;
  getMetadata(): Promise<[TableMetadata, ...unknown[]]>;
  /** Those of the permissions that this account has. */
  testIamPermissions(permissions: string[]): Promise<[{ readonly permissions?: string[] }, ...unknown[]]>;
}

/** A role and who has it: one of userByEmail, groupByEmail, domain, iamMember and others. */
interface DatasetAccess {
  readonly role?: string;
}

/** https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets#Dataset */
export interface DatasetMetadata {
  readonly location?: string;
  readonly etag?: string;
  readonly access?: readonly DatasetAccess[];
}

export interface BigqueryDataset {
  getMetadata(): Promise<[DatasetMetadata, ...unknown[]]>;
  /** Changes what is given; with an etag only if nothing has changed since. */
  setMetadata(metadata: object): Promise<unknown>;
  exists(): Promise<[boolean, ...unknown[]]>;
  create(options: { readonly location: string; readonly description?: string }): Promise<unknown>;
  delete(options: { readonly force: boolean }): Promise<unknown>;
  table(id: string): BigqueryTable;
}

export interface RequestOptions {
  readonly uri: string;
  readonly method?: 'GET' | 'POST' | 'PATCH';
  readonly json?: object;
}

export interface BigqueryClient {
  createQueryJob(options: QueryJobOptions): Promise<[BigqueryJob, ...unknown[]]>;
  createQueryStream(options: QueryJobOptions): AsyncIterable<unknown>;
  /** `projectId`: where it lies in another project than that of the client. */
  dataset(id: string, options?: { readonly projectId: string }): BigqueryDataset;
  /** With an absolute URI, of another service of Google's. */
  request(options: RequestOptions, callback: (error: Error | null, body?: unknown) => void): unknown;
}

export interface BigqueryClientOptions {
  readonly projectId: string;
  readonly location: string;
  /** An emulator: nothing asks it for credentials. */
  readonly emulator: boolean;
}

/** Authorizes nothing: an emulator asks for no credentials, and a key file that is set is not taken to Google for a token. */
const NOBODY = { getRequestHeaders: () => Promise.resolve(new Headers()) };

/** Makes a client; it finds credentials by itself (Application Default Credentials) and honours BIGQUERY_EMULATOR_HOST. */
export function makeBigqueryClient({ projectId, location, emulator }: BigqueryClientOptions): BigqueryClient {
  const { BigQuery } = loadGoogleClient('@google-cloud/bigquery') as {
    BigQuery: new (options: object) => BigqueryClient;
  };
  return new BigQuery({ projectId, location, ...(emulator ? { authClient: NOBODY } : {}) });
}

/** The dataset of a place, which may lie in another project than the client's. */
export function datasetOf(client: BigqueryClient, { projectId, dataset }: BigqueryPlace): BigqueryDataset {
  return client.dataset(dataset, { projectId });
}

/**
 * Where the dataset of a place lies; undefined where it is not there or this account may not look. A job that runs in another
 * location is told that the dataset is not there. https://cloud.google.com/bigquery/docs/locations#specify_locations
 */
export async function locationOf(client: BigqueryClient, place: BigqueryPlace): Promise<string | undefined> {
  return (await visible(datasetOf(client, place).getMetadata()))?.location;
}

/** What is asked for; undefined where it is not there or this account may not look. */
export async function visible<T>(asked: Promise<[T, ...unknown[]]>): Promise<T | undefined> {
  try {
    return (await asked)[0];
  } catch (error) {
    if (isNotFound(error) || isDenied(error)) return undefined;
    throw error;
  }
}
