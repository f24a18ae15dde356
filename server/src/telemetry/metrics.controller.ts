import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Keys } from '../access/keys.ts';
import { Metrics } from './metrics.ts';

/** Prometheus scrapes here. */
@Controller('metrics')
export class MetricsController {
  readonly #metrics: Metrics;
  readonly #keys: Keys;

  constructor(@Inject(Metrics) metrics: Metrics, @Inject(Keys) keys: Keys) {
    this.#metrics = metrics;
    this.#keys = keys;
  }

  @Get()
  async read(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    this.#keys.check('read', request.headers.authorization);
    void reply.header('content-type', this.#metrics.contentType);
    return this.#metrics.text();
  }
}
