/** The names of everything around a topic. */
export interface PubsubNames {
  readonly topic: string;
  /** Writes the topic's messages into the table of events. */
  readonly subscription: string;
  /** Takes what the subscription cannot deliver. */
  readonly deadLetterTopic: string;
  /** Writes the dead letters into a table of their own. */
  readonly deadLetterSubscription: string;
}

export function pubsubNames(topic: string): PubsubNames {
  const deadLetterTopic = `${topic}-dead-letters`;
  return {
    topic,
    subscription: `${topic}-bigquery`,
    deadLetterTopic,
    deadLetterSubscription: `${deadLetterTopic}-bigquery`,
  };
}
