import { loadGoogleClient, type IamPolicy } from '../../google.ts';

/*
 * What the driver uses of `@google-cloud/pubsub`, in its own terms: the package is optional and the sources compile without
 * it, so its types cannot be imported. The cloud tests compile the real client against these.
 */

export interface PubsubMessage {
  readonly data: Buffer;
  readonly attributes?: Record<string, string>;
}

export interface PubsubIam {
  getPolicy(): Promise<[IamPolicy, ...unknown[]]>;
  setPolicy(policy: IamPolicy): Promise<unknown>;
  /** Which of the permissions this account has. */
  testPermissions(permissions: string[]): Promise<[Record<string, boolean>, ...unknown[]]>;
}

/** https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics#Topic */
interface TopicMetadata {
  readonly schemaSettings?: { readonly schema?: string | null } | null;
}

/** https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#Subscription */
interface SubscriptionMetadata {
  readonly bigqueryConfig?: { readonly table?: string | null } | null;
}

export interface PubsubTopic {
  /** projects/PROJECT/topics/TOPIC */
  readonly name: string;
  publishMessage(
    message: PubsubMessage,
    callback: (error?: Error | null, messageId?: string | null) => void,
  ): void;
  flush(): Promise<void>;
  exists(): Promise<[boolean]>;
  create(): Promise<unknown>;
  getMetadata(): Promise<[TopicMetadata, ...unknown[]]>;
  getSubscriptions(): Promise<[PubsubSubscription[], ...unknown[]]>;
  createSubscription(name: string, options: object): Promise<unknown>;
  delete(): Promise<unknown>;
  readonly iam: PubsubIam;
}

export interface PubsubSubscription {
  /** projects/PROJECT/subscriptions/SUBSCRIPTION */
  readonly name: string;
  getMetadata(): Promise<[SubscriptionMetadata, ...unknown[]]>;
  exists(): Promise<[boolean]>;
  delete(): Promise<unknown>;
  readonly iam: PubsubIam;
}

export interface TopicOptions {
  readonly batching: {
    readonly maxMessages: number;
    readonly maxBytes: number;
    readonly maxMilliseconds: number;
  };
  readonly gaxOpts: object;
}

interface NewTopic {
  readonly name: string;
  readonly messageStoragePolicy?: { readonly allowedPersistenceRegions: string[] };
}

export interface PubsubClient {
  topic(name: string, options?: TopicOptions): PubsubTopic;
  createTopic(topic: NewTopic): Promise<unknown>;
  subscription(name: string): PubsubSubscription;
  close(): Promise<void>;
}

/**
 * Longest pause between two tries to reach a broker that is away, in milliseconds. gRPC's own grows to two minutes, and events
 * would be refused for so long after an outage has ended.
 */
const RECONNECT_MS_MAX = 2_000;

/** Makes a client; it finds credentials by itself (Application Default Credentials) and honours PUBSUB_EMULATOR_HOST. */
export function makePubsubClient(projectId: string): PubsubClient {
  const { PubSub } = loadGoogleClient('@google-cloud/pubsub') as {
    PubSub: new (options: object) => PubsubClient;
  };
  return new PubSub({ projectId, 'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX });
}
