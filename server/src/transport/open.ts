import type { Publisher } from './contract.ts';
import type { JournalPublisherOptions } from './journal/publisher.ts';
import type { PubsubPublisher, PubsubPublisherOptions } from './pubsub/publisher.ts';

/** Where events go first. */
export type TransportOptions =
  | ({ readonly driver: 'journal' } & JournalPublisherOptions)
  | ({ readonly driver: 'pubsub' } & PubsubPublisherOptions);

/** Loads the driver of a transport and makes its publisher, not yet open. No other driver's client is loaded. */
export async function makePublisher(options: TransportOptions): Promise<Publisher> {
  if (options.driver === 'pubsub') return makePubsubPublisher(options);
  const { JournalPublisher } = await import('./journal/publisher.ts');
  return new JournalPublisher(options);
}

/** The same for Pub/Sub alone, which store and forward needs behind the journal. */
export async function makePubsubPublisher(options: PubsubPublisherOptions): Promise<PubsubPublisher> {
  const driver = await import('./pubsub/publisher.ts');
  return new driver.PubsubPublisher(options);
}
