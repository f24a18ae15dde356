import { createRequire } from 'node:module';

/* What the drivers of Google Cloud have in common. */

/**
 * Loads the package of one of Google's clients. They are optional dependencies: an embedded installation can do without
 * them, and never loads them (docs/adr/0018-google-clients-optional.md).
 * @throws Error that says how to install them
 */
export function loadGoogleClient(name: '@google-cloud/pubsub' | '@google-cloud/bigquery'): unknown {
  try {
    return createRequire(import.meta.url)(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error(`${name} is not installed: run "npm ci" without --omit=optional`, { cause: error });
  }
}

/** One thing that is missing on Google Cloud, and how it is made. Making it twice changes nothing. */
export interface ProvisionStep {
  /** What is made or changed, in one line. */
  readonly what: string;
  /** The statement that does it, where it is one. */
  readonly sql?: string;
  /** Provisioning goes on where it cannot be made; says what that means. */
  readonly optional?: string;
  apply(): Promise<unknown>;
}

/** Who may do what; each is an IAM member, e.g. `serviceAccount:NAME@PROJECT.iam.gserviceaccount.com`. */
export interface Members {
  /** The account that subscriptions write into BigQuery as. */
  readonly writer: string;
  /** Pub/Sub itself, which moves dead letters. */
  readonly pubsubAgent: string;
  /** The server; absent: its rights are given elsewhere. */
  readonly server?: string;
  /** The account that the scheduled query runs as; absent: none is made. */
  readonly scheduler?: string;
}

/** https://cloud.google.com/iam/docs/reference/rest/v1/Policy */
export interface IamPolicy {
  bindings?: { role?: string | null; members?: string[] | null }[] | null;
  etag?: string | Uint8Array | null;
}

/** Whether a policy gives a role to a member. */
export function grants(policy: IamPolicy, role: string, member: string): boolean {
  const bindings = policy.bindings ?? [];
  return bindings.some((binding) => binding.role === role && binding.members?.includes(member) === true);
}
