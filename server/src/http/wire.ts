import { z } from 'zod';
import { isTimezone } from '../config-values.ts';

/** Days in a range of one report, at most. */
export const DAYS_MAX = 3_660;

const DAY_MS = 86_400_000;
const date = z.iso.date('must be a date, YYYY-MM-DD');

/** Query parameters of GET /analytics/daily. */
export const DAILY_QUERY = z
  .strictObject({
    from: date.optional().describe('First day, YYYY-MM-DD, included.'),
    to: date
      .optional()
      .describe(
        `Last day, YYYY-MM-DD, included. From the first to the last there may be ${DAYS_MAX.toLocaleString('en')} days; ` +
          'a range with one end runs to today, or from the first day that has an event.',
      ),
    timezone: z
      .string()
      .refine(isTimezone, 'must be an IANA timezone name, e.g. Europe/Helsinki')
      .optional()
      .describe(
        'Where a day begins: an IANA name. Default: the reporting timezone. Another one is exact and slower.',
      ),
    date_format: z
      .enum(['iso', 'mdy', 'dmy'])
      .optional()
      .describe('How dates are written: 2021-12-31, 12/31/2021 or 31/12/2021. Default: `mdy`.'),
    fresh: z
      .enum(['true', 'false'], 'must be true or false')
      .transform((text) => text === 'true')
      .optional()
      .describe(
        '`true`: on BigQuery, asks for what has arrived until now, which costs as much as is stored; the default is a small table ' +
          'that is made anew every 15 minutes or so. Daybook-As-Of says of which moment an answer is. An embedded server always ' +
          'answers with what it has.',
      ),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    path: ['from'],
    message: 'must not be after to',
  })
  .refine(
    ({ from, to }) =>
      from === undefined || to === undefined || (Date.parse(to) - Date.parse(from)) / DAY_MS < DAYS_MAX,
    { path: ['to'], message: `must be less than ${DAYS_MAX} days after from` },
  );

/** Query parameters of GET /analytics/dead-letters. */
export const DEAD_LETTERS_QUERY = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(1, 'must be at least 1').max(1_000, 'must be at most 1000'))
    .default(100)
    .describe('How many to list, newest first.'),
});

const fault = z.strictObject({
  pointer: z.string().describe('JSON pointer (RFC 6901) of the field; "" is the whole.'),
  detail: z.string().describe('What is wrong and what is allowed.'),
});

const count = (description: string) => z.int().nonnegative().describe(description);

/** An event of a batch that was not stored. */
const rejected = z.strictObject({
  index: count('Place among the events of the batch, from 0.'),
  event_id: z.string().optional().describe('As sent, where there was one.'),
  code: z
    .enum(['invalid-event', 'invalid-json', 'invalid-utf8'])
    .describe('As in a problem; `invalid-utf8` only of a line of NDJSON.'),
  errors: z.array(fault).describe('What is wrong with it.'),
});

/** All good. */
export const ACCEPTED = z.strictObject({ accepted: count('Events stored durably.') });

/** Some good, some bad. */
export const PARTLY_ACCEPTED = z.strictObject({
  accepted: count('Events stored durably.'),
  rejected: z.array(rejected).max(100).describe('The first 100 events that were not stored.'),
  rejected_total: count('Events that were not stored.'),
});

export const DAILY = z.strictObject({
  total_users: count('Distinct users ever seen, not only in the range.'),
  daily_stats: z
    .array(
      z.strictObject({
        date: z.string().describe('Calendar day in the timezone, written as date_format says.'),
        average_session_duration: z
          .number()
          .describe(
            'Mean over the sessions that started on the day of last − first event_time, in seconds, 2 decimals.',
          ),
        active_user_count: count('Distinct users with an event on the day.'),
        new_user_count: count('Users whose first event ever falls on the day.'),
      }),
    )
    .describe('Newest day first. With from or to, days without an event are listed with zeros.'),
});

export const DEAD_LETTERS = z.strictObject({
  dead_letters: z.array(
    z.strictObject({
      died_at: z.iso.datetime().describe('When, UTC.'),
      reason: z.enum(['rejected', 'corrupt']).describe('By the warehouse, or unreadable in the journal.'),
      detail: z.string().describe('What the store said.'),
      body: z.string().describe('The event as far as it could be read.'),
    }),
  ),
});

export const PROBLEM = z.looseObject({
  type: z.string().describe('Where the code is explained, relative to the server.'),
  title: z.string().describe('The code in words.'),
  status: z.int().describe('That of the answer.'),
  detail: z.string().describe('What is wrong with this request.'),
  instance: z.string().describe('The path asked for, without its query, its first 200 characters.'),
  code: z.string().describe('Act on this; the texts may change.'),
  request_id: z.string().describe('By this the request is found in the log of the server.'),
  errors: z.array(fault).optional().describe('The fields at fault, at most 20.'),
  accepted: z.literal(0).optional().describe('With `invalid-batch`.'),
  rejected: z.array(rejected).max(100).optional().describe('With `invalid-batch`: the first 100 events.'),
  rejected_total: count('With `invalid-batch`: all of them.').optional(),
});

export const LIVE = z.strictObject({ status: z.literal('ok') });

export const READY = z.strictObject({
  status: z
    .enum(['ready', 'degraded', 'draining', 'unavailable'])
    .describe(
      'degraded: events are taken, reports are not available. unavailable: the data directory is lost to another ' +
        'process, no event is taken.',
    ),
  ingest: z.enum(['open', 'closed']),
  warehouse: z.enum(['open', 'opening', 'unavailable']),
});
