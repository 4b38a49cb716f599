/** One span, one measure and one trace id a request. */
import { type Context, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { callDuration } from '#lib/metrics';
import { contextOf, traceparent } from '#lib/trace';
import { headerOf } from './header.ts';

/** A request that took longer is worth a line. */
const SLOW_MS = 1_000;
/** Every other one is, because it may have changed something. */
const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

interface Traced {
  span: Span;
  context: Context;
}

declare module 'fastify' {
  interface FastifyRequest {
    traced: Traced | null;
  }
}

const tracer = trace.getTracer('registrar');

/** Accepts a caller's `traceparent`, answers ours, and lets everything that the request causes find it. */
export function traceRequests(app: FastifyInstance): void {
  app.decorateRequest('traced', null);
  app.addHook('onRequest', (request, reply, done) => {
    const parent = contextOf(headerOf(request, 'traceparent'));
    const name = `${request.method} ${request.routeOptions.url ?? 'unknown'}`;
    const span = tracer.startSpan(name, { kind: SpanKind.SERVER }, parent);
    request.traced = { span, context: trace.setSpan(parent, span) };
    context.with(request.traced.context, () => {
      reply.header('traceparent', traceparent());
      done();
    });
  });
  // Reading the body goes through the socket's own events, where the context is lost.
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.traced) context.with(request.traced.context, done);
    else done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    measure(request, reply);
    done();
  });
}

function measure(request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode: status, elapsedTime: ms } = reply;
  const route = `${request.method} ${request.routeOptions.url ?? 'unknown'}`;
  callDuration.observe({ method: route, code: String(status) }, ms / 1000);
  const span = request.traced?.span;
  span?.setAttribute('http.response.status_code', status);
  if (status >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
  span?.end();
  const line = { route, status, ms: Math.round(ms), traceId: span?.spanContext().traceId };
  if (ms > SLOW_MS) request.log.warn(line, 'slow request');
  else if (!READS.has(request.method)) request.log.info(line, 'answered');
}
