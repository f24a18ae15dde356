import { createHash } from 'node:crypto';
import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Keys } from '../access/keys.ts';
import { checkQuery } from '../http/query.ts';
import { DAILY_QUERY, DEAD_LETTERS_QUERY } from '../http/wire.ts';
import { dailyReport } from './daily.ts';
import { deadLettersReport } from './dead-letters.ts';
import { REPORT_SOURCE, type ReportSource } from './source.ts';

/** The reports' routes. Answers carry an ETag, so that polling a page costs a 304. */
@Controller('analytics')
export class ReportsController {
  readonly #source: ReportSource;
  readonly #keys: Keys;

  constructor(@Inject(REPORT_SOURCE) source: ReportSource, @Inject(Keys) keys: Keys) {
    this.#source = source;
    this.#keys = keys;
  }

  @Get('daily')
  async daily(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Query() query: unknown,
  ): Promise<void> {
    this.#keys.check('read', request.headers.authorization);
    sendCacheable(
      request,
      reply,
      await dailyReport(this.#source, checkQuery(DAILY_QUERY, query), Date.now()),
    );
  }

  @Get('dead-letters')
  async deadLetters(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Query() query: unknown,
  ): Promise<void> {
    this.#keys.check('read', request.headers.authorization);
    const { limit } = checkQuery(DEAD_LETTERS_QUERY, query);
    sendCacheable(request, reply, await deadLettersReport(this.#source, limit));
  }
}

/** Sends JSON with a strong ETag of its bytes, or 304 when the client has them. */
function sendCacheable(request: FastifyRequest, reply: FastifyReply, report: object): void {
  const body = JSON.stringify(report);
  const etag = `"${createHash('sha1').update(body).digest('base64url')}"`;
  // CORS, where it is on, has said that the answer depends on the origin.
  const vary = [reply.getHeader('vary') ?? [], 'authorization'].flat().join(', ');
  void reply.headers({ etag, 'cache-control': 'private, no-cache', vary });
  if (matches(request.headers['if-none-match'], etag)) void reply.code(304).send();
  else void reply.header('content-type', 'application/json; charset=utf-8').send(body);
}

/** RFC 9110, section 13.1.2: weak comparison with a list of tags. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}
