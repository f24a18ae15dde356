import type { Fault } from '../event/event.ts';
import type { ProblemCode } from '../http/problems.ts';

/** Rejected events listed in one answer; further ones are counted, not listed. */
const REJECTED_MAX = 100;

/** An event of a batch that is not stored. */
export interface Rejected {
  /** Its place among the events of the batch, from 0. */
  readonly index: number;
  /** As sent, where it was read and is a string of a valid length. */
  readonly event_id?: string;
  readonly code: ProblemCode;
  readonly errors: readonly Fault[];
}

export interface Reason {
  readonly code: ProblemCode;
  readonly faults: readonly Fault[];
}

/** The rejected events of one batch: the first ones listed, all of them counted. */
export class RejectedList {
  readonly listed: Rejected[] = [];
  readonly byCode = new Map<ProblemCode, number>();
  total = 0;

  add(index: number, value: unknown, { code, faults }: Reason): void {
    this.total += 1;
    this.byCode.set(code, (this.byCode.get(code) ?? 0) + 1);
    if (this.listed.length < REJECTED_MAX) {
      this.listed.push({ index, ...eventIdOf(value), code, errors: faults });
    }
  }
}

function eventIdOf(value: unknown): { event_id?: string } {
  const id = (value as { event_id?: unknown } | null | undefined)?.event_id;
  return typeof id === 'string' && id.length > 0 && id.length <= 200 && id.isWellFormed()
    ? { event_id: id }
    : {};
}
