/** grpc.health.v1: what load balancers and supervisors ask. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type Health, HealthCheckResponse_ServingStatus as Status } from '../gen/grpc/health/v1/health_pb.ts';

const WATCH_POLL_MS = 500;

/** @param isServing asked at every check: false while the process starts or drains. */
export function healthService(names: readonly string[], isServing: () => boolean): ServiceImpl<typeof Health> {
  const status = () => (isServing() ? Status.SERVING : Status.NOT_SERVING);
  function known(service: string): boolean {
    return service === '' || names.includes(service);
  }
  return {
    check({ service }) {
      if (!known(service)) throw new ConnectError(`no service ${service} here`, Code.NotFound);
      return { status: status() };
    },
    list: () => ({ statuses: Object.fromEntries(['', ...names].map((name) => [name, { status: status() }])) }),
    async *watch({ service }, context) {
      let told: Status | undefined;
      while (!context.signal.aborted) {
        const now = known(service) ? status() : Status.SERVICE_UNKNOWN;
        if (now !== told) yield { status: now };
        told = now;
        await sleep(WATCH_POLL_MS, undefined, { signal: context.signal }).catch(() => undefined);
      }
    },
  };
}
