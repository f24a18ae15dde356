import type { IncomingHttpHeaders } from 'node:http';

/** Fields by which Cloud Logging shows a line under the trace of its request. */
export type TraceFields = Readonly<Record<string, string | boolean>>;

/** https://www.w3.org/TR/trace-context/#traceparent-header; later versions may append fields. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-|$)/;

/** TRACE_ID/SPAN_ID;o=OPTIONS, the span in decimal. https://cloud.google.com/trace/docs/trace-context#legacy-http-header */
const CLOUD_TRACE = /^([\da-f]{32})(?:\/(\d{1,20}))?(?:;o=(\d))?$/i;

const ZEROS = /^0+$/;
const SPAN_MAX = 2n ** 64n;

/**
 * The trace that a request belongs to; nothing where no header says it, or none that can be read.
 * https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
 */
export function traceFields(headers: IncomingHttpHeaders, projectId: string): TraceFields {
  const found = w3cTrace(headers) ?? cloudTrace(headers);
  if (projectId === '' || found === undefined || ZEROS.test(found.trace)) return {};
  return {
    'logging.googleapis.com/trace': `projects/${projectId}/traces/${found.trace}`,
    ...(found.span === undefined || ZEROS.test(found.span)
      ? {}
      : { 'logging.googleapis.com/spanId': found.span }),
    'logging.googleapis.com/trace_sampled': found.sampled,
  };
}

interface Trace {
  readonly trace: string;
  /** 16 hexadecimal digits. */
  readonly span?: string;
  readonly sampled: boolean;
}

function w3cTrace({ traceparent }: IncomingHttpHeaders): Trace | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, trace, span, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (trace === undefined || span === undefined || ZEROS.test(trace)) return undefined;
  return { trace, span, sampled: (Number.parseInt(flags!, 16) & 1) === 1 };
}

function cloudTrace(headers: IncomingHttpHeaders): Trace | undefined {
  const header = headers['x-cloud-trace-context'];
  if (typeof header !== 'string') return undefined;
  const [, trace, span, options] = CLOUD_TRACE.exec(header) ?? [];
  if (trace === undefined) return undefined;
  const decimal = span === undefined ? SPAN_MAX : BigInt(span);
  return {
    trace: trace.toLowerCase(),
    ...(decimal < SPAN_MAX ? { span: decimal.toString(16).padStart(16, '0') } : {}),
    sampled: options === '1',
  };
}
