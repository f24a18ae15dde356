import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem, toProblem } from './problem-reply.ts';

/** Tells that a request ended in a problem; the log and the metrics listen. */
export type ProblemWatch = (request: FastifyRequest, problem: ReturnType<typeof toProblem>) => void;

/** Writes everything that is thrown below a controller as a problem document. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #watch: ProblemWatch;

  constructor(watch: ProblemWatch) {
    this.#watch = watch;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const problem = toProblem(error);
    this.#watch(request, problem);
    sendProblem(request, http.getResponse<FastifyReply>(), problem);
  }
}
