import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { HEALTH, type Health } from './health.ts';

/** For load balancers and orchestrators; asks for no key and tells nothing about the data. */
@Controller('health')
export class HealthController {
  readonly #health: Health;

  constructor(@Inject(HEALTH) health: Health) {
    this.#health = health;
  }

  /** 200 while the process can answer at all. */
  @Get('live')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** 200 while events are taken, also when reports are not available; 503 while none is. */
  @Get('ready')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const state = await this.#health.state();
    if (state.ingest === 'closed') void reply.code(503);
    return state;
  }
}
