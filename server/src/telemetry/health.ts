import type { EngineStats } from '../delivery/engine.ts';

/** Injection token of `Health`. */
export const HEALTH = Symbol('Health');

export interface HealthState {
  /**
   * `degraded`: events are taken, reports are not available. `unavailable`: no event is taken, the data directory is no
   * longer this process's own.
   */
  readonly status: 'ready' | 'degraded' | 'draining' | 'unavailable';
  readonly ingest: 'open' | 'closed';
  readonly warehouse: EngineStats['warehouse'];
}

/** Whether the server takes events. It does until it shuts down or loses its directory, whatever the warehouse does. */
export class Health {
  readonly #engine: () => Promise<EngineStats>;
  #draining = false;
  #lost = false;

  constructor(engine: () => Promise<EngineStats>) {
    this.#engine = engine;
  }

  drain(): void {
    this.#draining = true;
  }

  /** The data directory is lost: only a restart helps. */
  lose(): void {
    this.#lost = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  async state(): Promise<HealthState> {
    const stats = await this.#engine().catch(() => undefined);
    const warehouse = stats?.warehouse ?? 'unavailable';
    if (this.#draining) return { status: 'draining', ingest: 'closed', warehouse };
    if (this.#lost) return { status: 'unavailable', ingest: 'closed', warehouse };
    return { status: warehouse === 'open' ? 'ready' : 'degraded', ingest: 'open', warehouse };
  }
}
