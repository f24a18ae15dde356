import { createHash } from 'node:crypto';
import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Keys } from '../access/keys.ts';
import { checkQuery } from '../http/query.ts';
import { DAILY_QUERY, DEAD_LETTERS_QUERY } from '../http/wire.ts';
import { dailyReport } from './daily.ts';
import { deadLettersReport } from './dead-letters.ts';
import { RequestSource } from './request-source.ts';
import { REPORTS, type ReportSource, type Reports } from './source.ts';

/** The reports' routes. Answers carry an ETag, so that polling a page costs a 304. */
@Controller('analytics')
export class ReportsController {
  readonly #reports: Reports;
  readonly #keys: Keys;

  constructor(@Inject(REPORTS) reports: Reports, @Inject(Keys) keys: Keys) {
    this.#reports = reports;
    this.#keys = keys;
  }

  @Get('daily')
  async daily(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Query() query: unknown,
  ): Promise<void> {
    this.#keys.check('read', request.headers.authorization);
    const parameters = checkQuery(DAILY_QUERY, query);
    await this.#answer(request, reply, (source) => dailyReport(source, parameters, Date.now()));
  }

  @Get('dead-letters')
  async deadLetters(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Query() query: unknown,
  ): Promise<void> {
    this.#keys.check('read', request.headers.authorization);
    const { limit } = checkQuery(DEAD_LETTERS_QUERY, query);
    await this.#answer(request, reply, (source) => deadLettersReport(source, limit));
  }

  /** Makes the report until the client is gone, which then gets no answer. */
  async #answer(
    request: FastifyRequest,
    reply: FastifyReply,
    report: (source: ReportSource) => Promise<object>,
  ): Promise<void> {
    const signal = goneSignal(reply);
    const source = new RequestSource(this.#reports, { asker: this.#askerOf(request), signal });
    try {
      const body = JSON.stringify(await report(source));
      if (source.asOf !== undefined) void reply.header(AS_OF, source.asOf.toISOString());
      if (source.bytesBilled !== undefined) void reply.header(BYTES_BILLED, String(source.bytesBilled));
      sendCacheable(request, reply, body);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** The read key where one is asked for, so that an address behind a proxy does not stand for all; else the address. */
  #askerOf({ headers, ip }: FastifyRequest): string {
    return this.#keys.asks('read') ? (headers.authorization ?? '').slice('Bearer '.length) : ip;
  }
}

/** How far the answer reaches; ISO 8601, UTC. */
const AS_OF = 'daybook-as-of';

/** What the answer was billed for, where the warehouse bills. */
const BYTES_BILLED = 'daybook-bytes-billed';

/** Fires when the connection closes before the answer is written. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableEnded) gone.abort();
  });
  if (raw.destroyed) gone.abort();
  return gone.signal;
}

/** Sends JSON with a strong ETag of its bytes, or 304 when the client has them. */
function sendCacheable(request: FastifyRequest, reply: FastifyReply, body: string): void {
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
