import { StoreError } from '../event/store-error.ts';
import type { Weight } from './contract.ts';

/** How many statements of a weight run, and how many may wait. */
export interface TurnLimits {
  readonly runningMax: number;
  /** Of these, how many of one asker. */
  readonly runningOfOneMax: number;
  readonly waitingMax: number;
  /** Of these, how many of one asker. */
  readonly waitingOfOneMax: number;
}

/**
 * Each weight has places and a queue of its own, so a read from rollups never waits for one that reads rows. A statement
 * blocks a thread of Node's pool, which has four and also commits the journal: all places together leave that pool room,
 * because reads from rollups are short.
 */
const LIMITS: Readonly<Record<Weight, TurnLimits>> = {
  rollup: { runningMax: 2, runningOfOneMax: 2, waitingMax: 128, waitingOfOneMax: 96 },
  rows: { runningMax: 2, runningOfOneMax: 1, waitingMax: 32, waitingOfOneMax: 16 },
};

/** Who asks for a turn. */
export interface TurnRequest {
  readonly weight: Weight;
  /** Whoever shares this name shares its turns. */
  readonly asker: string;
  /** Gives the place in the queue up. */
  readonly signal: AbortSignal;
  /** Waits where the queue is full, too: for the few calls of an operator. */
  readonly patient?: boolean;
}

/** Which statements run and which wait. Beyond its limits a statement fails with `busy`, at once. */
export class QueryTurns {
  readonly #limits: Readonly<Record<Weight, TurnLimits>>;
  readonly #queues: Readonly<Record<Weight, TurnQueue>>;

  constructor(limits: Readonly<Record<Weight, TurnLimits>> = LIMITS) {
    this.#limits = limits;
    this.#queues = { rollup: new TurnQueue(limits.rollup), rows: new TurnQueue(limits.rows) };
  }

  /** Runs the work when it has its turn; the turn lasts until the work settles. */
  async run<T>(turn: TurnRequest, work: () => Promise<T>): Promise<T> {
    const { weight, asker } = turn;
    const queue = this.#queues[weight];
    await queue.acquire(turn);
    try {
      return await work();
    } finally {
      queue.release(asker);
    }
  }

  /** Runs the work while no other statement of the weight runs, however many wait. Each place is taken under a name of its own, in one order. */
  runAlone<T>(turn: TurnRequest, work: () => Promise<T>): Promise<T> {
    let held = work;
    for (let place = this.#limits[turn.weight].runningMax; place > 0; place -= 1) {
      const inner = held;
      held = () => this.run({ ...turn, patient: true, asker: `${turn.asker} ${place}` }, inner);
    }
    return held();
  }
}

interface Waiting {
  readonly asker: string;
  readonly begin: () => void;
}

/**
 * One weight's places. A free place goes to the asker that was served longest ago, and of an asker's own statements to the
 * oldest. The queue is short, so it is searched from its start.
 */
class TurnQueue {
  readonly #limits: TurnLimits;
  readonly #running = new Map<string, number>();
  readonly #waiting: Waiting[] = [];
  /** Asker → number of its last turn, while it has a statement here. */
  readonly #served = new Map<string, number>();
  #runningCount = 0;
  #turns = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** @throws StoreError `busy` when too many wait, `timeout` when the signal fires first */
  async acquire(turn: TurnRequest): Promise<void> {
    const { asker, signal } = turn;
    if (signal.aborted) throw stopped();
    const mayRun = this.#runningCount < this.#limits.runningMax && this.#mayRun(asker);
    if (mayRun) this.#begin(asker);
    else await this.#wait(turn);
  }

  #wait({ asker, signal, patient = false }: TurnRequest): Promise<void> {
    const { waitingMax, waitingOfOneMax } = this.#limits;
    const ofOne = this.#waiting.filter((waiting) => waiting.asker === asker).length;
    if (!patient && (this.#waiting.length >= waitingMax || ofOne >= waitingOfOneMax)) {
      throw new StoreError('busy', `${this.#waiting.length} queries wait already, ${ofOne} of this asker`);
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#forget(asker);
        reject(stopped());
      };
      const begin = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiting = { asker, begin };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  release(asker: string): void {
    this.#runningCount -= 1;
    const left = (this.#running.get(asker) ?? 1) - 1;
    if (left === 0) this.#running.delete(asker);
    else this.#running.set(asker, left);
    this.#next();
    this.#forget(asker);
  }

  #next(): void {
    const eligible = this.#waiting.filter((waiting) => this.#mayRun(waiting.asker));
    const served = (waiting: Waiting) => this.#served.get(waiting.asker) ?? 0;
    const [first] = eligible.toSorted((a, b) => served(a) - served(b));
    if (first === undefined) return;
    this.#waiting.splice(this.#waiting.indexOf(first), 1);
    this.#begin(first.asker);
    first.begin();
  }

  #begin(asker: string): void {
    this.#runningCount += 1;
    this.#running.set(asker, (this.#running.get(asker) ?? 0) + 1);
    this.#turns += 1;
    this.#served.set(asker, this.#turns);
  }

  #mayRun(asker: string): boolean {
    return (this.#running.get(asker) ?? 0) < this.#limits.runningOfOneMax;
  }

  #forget(asker: string): void {
    if (this.#running.has(asker) || this.#waiting.some((waiting) => waiting.asker === asker)) return;
    this.#served.delete(asker);
  }
}

function stopped(): StoreError {
  return new StoreError('timeout', 'the query was stopped while it waited for its turn');
}
