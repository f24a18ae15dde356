/** Runs of the scheduled query that may be missing. */
const RUNS_MISSING_MAX = 4;

/** From one line in the log to the next, in milliseconds. */
const TELL_MS = 3_600_000;

export interface DailyTiming {
  /** From one run of the scheduled query to the next. */
  readonly dailyMinutes: number;
  /** For how long an answer may be shown again. */
  readonly stalenessMs: number;
}

/** Age of a table of days, in milliseconds, beyond which its scheduled query does not run as it should. */
export function lateAfterMs(dailyMinutes: number): number {
  return RUNS_MISSING_MAX * dailyMinutes * 60_000;
}

/** Tells, once in a while, that reports are older than the scheduled query should leave them. */
export class LateDaily {
  readonly #limitMs: number;
  readonly #tell: (minutes: number) => void;
  #toldMs = -Infinity;

  constructor({ dailyMinutes, stalenessMs }: DailyTiming, tell: (minutes: number) => void) {
    this.#limitMs = lateAfterMs(dailyMinutes) + stalenessMs;
    this.#tell = tell;
  }

  /** A report was answered as of a moment. */
  answered(asOfUs: number, nowMs: number): void {
    const ageMs = nowMs - asOfUs / 1_000;
    if (ageMs <= this.#limitMs || nowMs - this.#toldMs < TELL_MS) return;
    this.#toldMs = nowMs;
    this.#tell(Math.floor(ageMs / 60_000));
  }
}
