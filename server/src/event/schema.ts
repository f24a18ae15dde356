import { EVENT_LIMITS } from './limits.ts';

const name = (description: string) => ({
  type: 'string' as const,
  minLength: 1,
  maxLength: EVENT_LIMITS.nameCharsMax,
  description,
});

const place = (description: string) => ({
  type: 'string' as const,
  maxLength: EVENT_LIMITS.placeCharsMax,
  description,
});

/**
 * The event as clients send it: JSON Schema 2020-12. The validator of the routes is compiled from it and
 * the API document shows it; rules that a schema cannot say are in `check.ts`.
 */
export const EVENT_SCHEMA = {
  title: 'Event',
  type: 'object',
  additionalProperties: false,
  required: ['type', 'event_name', 'user_id', 'session_id', 'event_time'],
  properties: {
    type: { const: 'event', description: 'Always "event".' },
    event_name: name('What happened, for example "page_view".'),
    user_id: name('Who did it.'),
    session_id: name('The session it belongs to.'),
    event_time: {
      type: 'number',
      description:
        'When it happened: unix time in seconds, fractions allowed (kept to the microsecond). From 2000-01-01 to a day ' +
        'ahead of the clock, unless the server is set otherwise.',
    },
    event_id: name(
      'Idempotency key: an event whose event_id is stored already is accepted and not counted again. ' +
        'A UUIDv7 is given where it is absent.',
    ),
    page: {
      type: 'string',
      maxLength: EVENT_LIMITS.pageCharsMax,
      description: 'The page or screen.',
    },
    country: place('Country.'),
    region: place('Region.'),
    city: place('City.'),
    properties: {
      type: 'object',
      description:
        `Anything else, as a JSON object: at most ${EVENT_LIMITS.propertiesBytesMax / 1_024} KiB as JSON, ` +
        `${EVENT_LIMITS.propertiesKeysMax} keys over all levels, ${EVENT_LIMITS.propertiesDepthMax} levels deep.`,
    },
  },
} as const;

/** The example event of the documentation. */
export const EVENT_EXAMPLE = {
  type: 'event',
  event_name: 'page_view',
  user_id: 'user-1',
  session_id: 'session-1',
  event_time: 1_638_352_800,
  page: '/pricing',
  country: 'FI',
} as const;
