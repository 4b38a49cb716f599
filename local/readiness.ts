import { createClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../gen/grpc/health/v1/health_pb.ts';

const PROBE_TIMEOUT_MS = 1_000;

/** Whether the gRPC server there says that it serves. @throws where nothing answers */
export async function grpcServes(address: string, service = ''): Promise<boolean> {
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  try {
    const client = createClient(Health, createGrpcTransport({ baseUrl, sessionManager }));
    const { status } = await client.check({ service }, { timeoutMs: PROBE_TIMEOUT_MS });
    return status === Status.SERVING;
  } finally {
    sessionManager.abort();
  }
}

/** Whether a GET there succeeds. @throws where nothing answers */
export async function httpAnswers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  await response.body?.cancel();
  return response.ok;
}
