import { isUtf8 } from 'node:buffer';
import type { TimeWindow } from '../event/check.ts';
import type { Fault } from '../event/event.ts';
import type { EventIds } from '../event/ids.ts';
import { blankEnd } from '../event/json-bytes.ts';
import { EVENT_BYTES_MAX, SCAN_LIMITS } from '../event/limits.ts';
import { encodeLine, type Receipt } from '../event/line.ts';
import { LineWriter, roomForLines } from '../event/line-writer.ts';
import { Outline } from '../event/outline.ts';
import { EventScan } from '../event/scan.ts';
import { Problem } from '../http/problems.ts';
import { takeArray } from './batch-array.ts';
import { BatchEvents, type EncodedBatch } from './batch-events.ts';
import { takeLines } from './batch-lines.ts';
import { faultBeforeCut, notUtf8, parsePart, syntaxDetail, withoutMark } from './parse.ts';
import type { Steps } from './turns.ts';
import { excessFault, hasEscapes, validate } from './validator.ts';

/** What holds for all events of the server. */
export interface EncodeRules {
  readonly project: string;
  readonly eventTimeMinS: number;
  readonly eventTimeAheadS: number;
}

/** A batch as it was sent. */
export interface BatchBody {
  readonly bytes: Buffer;
  /** One event a line; otherwise a JSON array. */
  readonly ndjson: boolean;
  /** When it came, in unix milliseconds. */
  readonly nowMs: number;
}

/**
 * From a body to its lines: scan, parse, check, encode. No I/O and no state between calls but buffers. Events that are plain
 * (`event/scan.ts`) are copied from the body into the lines; every other is looked over (`event/outline.ts`) and, unless it
 * is far from any valid event, parsed. One event is parsed at a time, and none that is larger than an event may be.
 */
export class Encoder {
  readonly #rules: EncodeRules;
  readonly #ids: EventIds;
  readonly #scan = new EventScan();
  readonly #outline = new Outline();
  readonly #writer = new LineWriter(roomForLines(3 * EVENT_BYTES_MAX));

  constructor(rules: EncodeRules, ids: EventIds) {
    this.#rules = rules;
    this.#ids = ids;
  }

  /**
   * A batch, in steps: several may be under way at a time.
   * @throws Problem invalid-utf8, invalid-json, empty-batch, too-many-events
   */
  *batch({ bytes, ndjson, nowMs }: BatchBody): Steps<EncodedBatch> {
    const writer = new LineWriter(roomForLines(bytes.length));
    this.#begin(writer, nowMs);
    const scan = this.#scan;
    const events = new BatchEvents({
      scan,
      writer,
      window: this.#windowAt(nowMs),
      receipt: this.#receiptAt(nowMs),
    });
    const body = withoutMark(bytes);
    yield* ndjson ? takeLines(body, events) : takeArray(body, events);
    return events.result();
  }

  /**
   * The line of a single event.
   * @throws Problem invalid-utf8, invalid-json, invalid-event
   */
  event(body: Buffer, nowMs: number): Buffer {
    const window = this.#windowAt(nowMs);
    this.#scan.within(window);
    this.#begin(this.#writer, nowMs);
    const bytes = withoutMark(body);
    if (!isUtf8(bytes)) throw notUtf8();
    const from = blankEnd(bytes, 0);
    const end = this.#scan.read(bytes, from);
    if (end !== -1 && blankEnd(bytes, end) === bytes.length) {
      this.#writer.plain(bytes, this.#scan, bytes.length);
    } else {
      this.#refuseExcess(bytes, from);
      const text = bytes.toString('utf8');
      const escaped = hasEscapes(text);
      const checked = validate(wholeBody(text), window, escaped);
      if ('faults' in checked) throw invalidEvent(checked.faults);
      this.#writer.line(encodeLine(checked.event, this.#receiptAt(nowMs), escaped));
    }
    return Buffer.from(this.#writer.bytes());
  }

  /** @throws Problem invalid-json, invalid-event */
  #refuseExcess(bytes: Buffer, from: number): void {
    if (bytes.length <= SCAN_LIMITS.shortBytes) return;
    const outline = this.#outline;
    outline.begin(from);
    outline.advance(bytes, EVENT_BYTES_MAX + 1);
    if (outline.end === -1) outline.close(bytes.length);
    if (outline.excess === undefined) return;
    const text = bytes.toString('utf8');
    const faultAt = faultBeforeCut(bytes.toString('utf8', 0, outline.excessAt));
    if (faultAt !== undefined || outline.cut) {
      throw new Problem('invalid-json', syntaxDetail(text, faultAt ?? text.length));
    }
    throw invalidEvent([excessFault(bytes, outline)]);
  }

  #begin(writer: LineWriter, nowMs: number): void {
    writer.begin({ project: this.#rules.project, nowMs, ids: this.#ids });
  }

  #windowAt(nowMs: number): TimeWindow {
    const { eventTimeMinS, eventTimeAheadS } = this.#rules;
    return { fromS: eventTimeMinS, toS: nowMs / 1_000 + eventTimeAheadS };
  }

  #receiptAt(nowMs: number): Receipt {
    const { project } = this.#rules;
    return { project, receivedAtUs: nowMs * 1_000, newEventId: () => this.#ids.next(nowMs) };
  }
}

/** @throws Problem invalid-json */
function wholeBody(text: string): unknown {
  if (text === '') throw new Problem('invalid-json', 'the body is empty');
  const part = parsePart(text);
  if ('faultAt' in part) throw new Problem('invalid-json', syntaxDetail(text, part.faultAt));
  return part.value;
}

function invalidEvent(faults: readonly Fault[]): Problem {
  const [first] = faults;
  const detail = first!.pointer === '' ? first!.detail : `${first!.pointer.slice(1)}: ${first!.detail}`;
  return new Problem('invalid-event', detail, { faults });
}
