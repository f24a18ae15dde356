import { isUtf8 } from 'node:buffer';
import { blankEnd, NEWLINE } from '../event/json-bytes.ts';
import { BATCH_LIMITS, EVENT_BYTES_MAX, SCAN_LIMITS } from '../event/limits.ts';
import { Problem } from '../http/problems.ts';
import { type BatchEvents, whole } from './batch-events.ts';
import { syntaxDetail, tooManyEvents } from './parse.ts';
import type { Steps } from './turns.ts';

/** A line of the body, blank ones apart. */
interface Line {
  readonly from: number;
  /** Whether the whole body is valid UTF-8. */
  readonly valid: boolean;
  readonly view: Buffer;
}

/**
 * Takes the lines of NDJSON, one at a time. A line that is no JSON, or not UTF-8, is rejected alone.
 * @throws Problem empty-batch, too-many-events
 */
export function* takeLines(bytes: Buffer, events: BatchEvents): Steps<void> {
  const valid = isUtf8(bytes);
  let from = 0;
  while (from < bytes.length) {
    events.resume();
    while (from < bytes.length && !events.spent) {
      const view = events.view(bytes, from);
      from = blankEnd(view, from);
      if (from < view.length) from = takeLine(bytes, { from, valid, view }, events);
    }
    yield;
  }
  if (events.count === 0) {
    throw new Problem('empty-batch', bytes.length === 0 ? 'the body is empty' : 'the body has no events');
  }
}

/** Takes the line that begins there; returns where it ends. */
function takeLine(bytes: Buffer, { from, valid, view }: Line, events: BatchEvents): number {
  if (events.count === BATCH_LIMITS.eventsMax) throw tooManyEvents();
  const newline = bytes.indexOf(NEWLINE, from);
  const end = newline === -1 ? bytes.length : newline;
  if (!valid && !isUtf8(bytes.subarray(from, end))) {
    events.reject({ code: 'invalid-utf8', faults: whole('not valid UTF-8') });
    return end;
  }
  const plainEnd = events.plainEnd(view, from);
  if (plainEnd !== -1 && end <= view.length && blankEnd(view, plainEnd) >= end && plainEnd <= end) {
    events.takePlain(view, from, plainEnd);
    return end;
  }
  if (end - from <= SCAN_LIMITS.shortBytes) {
    events.outlined.skip(from, end);
  } else {
    const outline = events.outline(from);
    outline.advance(bytes, Math.min(end - from, EVENT_BYTES_MAX + 1));
    outline.close(end);
  }
  const faultAt = events.takeOutlined(bytes);
  if (faultAt === undefined) return end;
  const text = bytes.toString('utf8', from, Math.min(end, from + EVENT_BYTES_MAX));
  events.reject({ code: 'invalid-json', faults: whole(syntaxDetail(text, faultAt)) });
  return end;
}
