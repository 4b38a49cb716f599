import { getEventListeners } from 'node:events';
import { createContextValues, createHandlerContext } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../gen/grpc/health/v1/health_pb.ts';
import { healthService } from './health.ts';

test('a watch tells each change, ends when its caller goes, and leaves no listener behind', async () => {
  const caller = new AbortController();
  const context = createHandlerContext({
    service: Health,
    method: Health.method.watch,
    protocolName: 'grpc',
    requestMethod: 'POST',
    url: 'http://here/grpc.health.v1.Health/Watch',
    requestSignal: caller.signal,
    contextValues: createContextValues(),
  });
  const listeners = () => getEventListeners(context.signal, 'abort').length;
  const before = listeners();
  let isServing = false;
  const told = [];

  const { watch } = healthService([], () => isServing);
  for await (const { status } of watch({ $typeName: 'grpc.health.v1.HealthCheckRequest', service: '' }, context)) {
    told.push(status);
    expect(listeners()).toBe(before);
    isServing = !isServing;
    if (told.length === 3) caller.abort();
  }

  expect(told).toEqual([Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]);
});
