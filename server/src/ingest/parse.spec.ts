import { describe, expect, it } from 'vitest';
import { BATCH_LIMITS } from '../event/limits.ts';
import { watchLines } from './parse.ts';

const { eventsMax } = BATCH_LIMITS;

/** Whether a body is refused that arrives in chunks of so many bytes. */
function refused(body: string, chunkBytes: number): boolean {
  const watch = watchLines();
  const bytes = Buffer.from(body);
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) watch(bytes.subarray(at, at + chunkBytes));
    return false;
  } catch (error) {
    expect(error).toMatchObject({ code: 'too-many-events' });
    return true;
  }
}

describe('watchLines()', () => {
  it.each([
    ['as many lines as there may be', '{ }\n'.repeat(eventsMax), false],
    ['the same with CRLF', '{ }\r\n'.repeat(eventsMax), false],
    ['blank lines between them', '{ }\n\n\r\n \n\t\r\n'.repeat(eventsMax), false],
    ['a line too many', '{ }\n'.repeat(eventsMax + 1), true],
    ['a line too many with CRLF', '{ }\r\n'.repeat(eventsMax + 1), true],
    ['a line too many that has no end', `${'{ }\n'.repeat(eventsMax)}{`, true],
  ])('counts %s', (_name, body, expected) => {
    for (const chunkBytes of [1, 2, 3, 4_096, body.length]) expect(refused(body, chunkBytes)).toBe(expected);
  });
});
