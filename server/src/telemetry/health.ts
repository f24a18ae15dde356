import type { EngineStats } from '../delivery/engine.ts';

/** Injection token of `Health`. */
export const HEALTH = Symbol('Health');

export interface HealthState {
  /** `degraded`: events are taken, reports are not available. */
  readonly status: 'ready' | 'degraded' | 'draining';
  readonly ingest: 'open' | 'closed';
  readonly warehouse: EngineStats['warehouse'];
}

/** Whether the server takes events. It does until it shuts down, whatever the warehouse does. */
export class Health {
  readonly #engine: () => Promise<EngineStats>;
  #draining = false;

  constructor(engine: () => Promise<EngineStats>) {
    this.#engine = engine;
  }

  drain(): void {
    this.#draining = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  async state(): Promise<HealthState> {
    const stats = await this.#engine().catch(() => undefined);
    const warehouse = stats?.warehouse ?? 'unavailable';
    if (this.#draining) return { status: 'draining', ingest: 'closed', warehouse };
    return { status: warehouse === 'open' ? 'ready' : 'degraded', ingest: 'open', warehouse };
  }
}
