import {
  Module,
  type BeforeApplicationShutdown,
  type DynamicModule,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { Keys } from './access/keys.ts';
import { DocsController } from './http/docs.controller.ts';
import type { Parts } from './parts.ts';
import { ReportsController } from './reports/reports.controller.ts';
import { REPORTS } from './reports/source.ts';
import { HEALTH } from './telemetry/health.ts';
import { HealthController } from './telemetry/health.controller.ts';
import { Metrics } from './telemetry/metrics.ts';
import { MetricsController } from './telemetry/metrics.controller.ts';

/** Shuts the house in order: not ready first, then (after the listener closed) journal, loader, warehouse. */
class Shutdown implements BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  beforeApplicationShutdown(): void {
    this.#parts.health.drain();
  }

  onApplicationShutdown(): Promise<void> {
    return this.#parts.close();
  }
}

/** The whole wiring. Ingest's routes are registered in `app.ts`, outside Nest's pipeline. */
@Module({})
export class AppModule {
  static of(parts: Parts): DynamicModule {
    return {
      module: AppModule,
      controllers: [ReportsController, HealthController, MetricsController, DocsController],
      providers: [
        { provide: Keys, useValue: parts.keys },
        { provide: Metrics, useValue: parts.metrics },
        { provide: HEALTH, useValue: parts.health },
        { provide: REPORTS, useValue: parts.reports },
        { provide: Shutdown, useValue: new Shutdown(parts) },
      ],
    };
  }
}
