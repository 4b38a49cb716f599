/**
 * W3C trace context: one id finds a registration in every log, event and workflow. Spans are always made, because their ids are what
 * travels; they record what happens in them, and are exported, only where a collector is configured.
 */
import { type Context, context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOffSampler, BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

const tracer = trace.getTracer('registrar');
const propagator = new W3CTraceContextPropagator();

/** Registers tracing for this process. @returns what flushes and ends it. */
export async function startTracing(name: string, otlpEndpoint: string | undefined): Promise<() => Promise<void>> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(propagator);
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': `registrar-${name}` })),
    ...(otlpEndpoint
      ? { spanProcessors: [new BatchSpanProcessor({ exporter: await exporterTo(otlpEndpoint) })] }
      : { sampler: new AlwaysOffSampler() }),
  });
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

/** Loaded only when wanted: it is the larger part of OpenTelemetry, and most starts never export. */
async function exporterTo(endpoint: string) {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
}

/** The active trace's id, 32 hex digits; undefined outside a request. */
export function traceId(): string | undefined {
  return trace.getActiveSpan()?.spanContext().traceId;
}

/** The active W3C `traceparent`; empty outside a request. */
export function traceparent(): string {
  const span = trace.getActiveSpan()?.spanContext();
  if (!span) return '';
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}

/** The trace id that a `traceparent` names; undefined where there is none. */
export function traceIdIn(parent: string): string | undefined {
  return parent.split('-')[1];
}

/** The context that a caller's `traceparent` names; a new one where it is missing or malformed. */
export function contextOf(parent: string | null | undefined): Context {
  if (!parent) return context.active();
  return propagator.extract(context.active(), { traceparent: parent }, headerGetter);
}

const headerGetter = {
  get: (carrier: Record<string, string>, key: string) => carrier[key],
  keys: (carrier: Record<string, string>) => Object.keys(carrier),
};

/** Runs `body` in a span whose parent is `parent`, and ends the span with it. */
export function inSpan<T>(
  name: string,
  options: { parent?: string | null; kind?: SpanKind },
  body: (span: Span) => Promise<T>,
): Promise<T> {
  const within = contextOf(options.parent);
  const span = tracer.startSpan(name, { kind: options.kind ?? SpanKind.INTERNAL }, within);
  return context.with(trace.setSpan(within, span), async () => {
    try {
      return await body(span);
    } catch (failure) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: String(failure) });
      throw failure;
    } finally {
      span.end();
    }
  });
}

export { SpanKind };
