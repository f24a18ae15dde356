/** How long after a small body large work still makes room for small ones, in milliseconds. */
const SMALL_RECENT_MS = 1_000;

/** How much longer than the work the rest after it is. */
const REST_FACTOR = 3;

/** The longest rest, in milliseconds. */
const REST_MS_MAX = 1_000;

/**
 * The work on large bodies: decompressing, encoding, publishing. One at a time, in order; they hold the thread and the
 * disk for longer than a small one should wait. While small bodies come, a rest of three times its time follows on each, so
 * that most small ones meet a free thread and a free disk. Nobody's answer waits for a rest.
 *
 * Who asks has a place among the large bodies, so no more than those wait.
 */
export class LargeWork {
  readonly #now: () => number;
  #last: Promise<unknown> = Promise.resolve();
  #smallMs = -Infinity;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A small body has come. */
  small(): void {
    this.#smallMs = this.#now();
  }

  /** Does the work when its turn comes; settles as it does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      const startedMs = this.#now();
      try {
        return await work();
      } finally {
        rest = this.#restMs(startedMs);
      }
    });
    let rest = 0;
    this.#last = done.catch(() => undefined).then(() => sleep(rest));
    return done;
  }

  #restMs(startedMs: number): number {
    const nowMs = this.#now();
    if (nowMs - this.#smallMs > SMALL_RECENT_MS) return 0;
    return Math.min((nowMs - startedMs) * REST_FACTOR, REST_MS_MAX);
  }
}

function sleep(ms: number): Promise<void> | undefined {
  return ms === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, ms));
}
