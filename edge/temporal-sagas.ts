/** The sagas as Temporal knows them. */
import { Client, Connection, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Config } from '#lib/config';
import { unknownCursor } from './page.ts';
import { DependencyFailure, notFound, Problem, unavailable } from './problem.ts';
import type { Saga, SagaFilter, Sagas } from './sagas.ts';

const TIMEOUT_MS = 3_000;
/** Of the first call, which connects. */
const CONNECT_TIMEOUT_MS = 1_000;
/** What Temporal answers to a page token that it cannot read: UNKNOWN or INVALID_ARGUMENT, as its store has it. */
const UNREADABLE = new Set([2, 3]);
const OUTCOME = 'Outcome';
const STUDENT_ID = 'StudentId';

/** Search attributes `Outcome` and `StudentId`, memo fields `error` and `step`, and signal `retry` are the sagas' contract. */
const queries: Record<SagaFilter, string> = {
  stuck: "Outcome = 'stuck' AND ExecutionStatus = 'Running'",
  running: "ExecutionStatus = 'Running'",
  ended: "ExecutionStatus != 'Running'",
};

/** Connects with the first call: the edge starts, and serves, while Temporal is away. */
export function temporalSagas({ address, namespace }: Config['temporal']): Sagas {
  // Without the client's own retries: who asks hears at once that Temporal is away, and may ask again.
  const connection = Connection.lazy({ address, connectTimeout: CONNECT_TIMEOUT_MS, interceptors: [] });
  const client = new Client({ connection, namespace });

  async function within<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await connection.withDeadline(Date.now() + TIMEOUT_MS, call);
    } catch (error) {
      throw named(error);
    }
  }
  return {
    list: (filter, { limit, token }) =>
      within(async () => {
        const asked = { namespace, query: queries[filter], pageSize: limit, nextPageToken: token };
        const { executions, nextPageToken } = await connection.workflowService
          .listWorkflowExecutions(asked)
          .catch((error: unknown) => {
            throw token.length > 0 && isGrpcServiceError(error) && UNREADABLE.has(error.code) ? unknownCursor() : error;
          });
        return { items: executions.map(sagaOf), nextPageToken };
      }),
    retry: (id) => within(() => client.workflow.getHandle(id).signal('retry')),
    check: () => within(async () => void (await connection.workflowService.getSystemInfo({}))),
    close: () => connection.close(),
  };
}

/** Temporal's client wraps some of gRPC's errors, and not others. */
function named(error: unknown): Error {
  if (error instanceof Problem) return error;
  if (error instanceof WorkflowNotFoundError) return notFound('running saga of this id');
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  if (isGrpcServiceError(cause) || isTimeout(error)) return unavailable('temporal');
  return new DependencyFailure('temporal', error);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && /deadline|connect/i.test(error.message);
}

type Executions = Awaited<ReturnType<Connection['workflowService']['listWorkflowExecutions']>>['executions'];
type Payloads = Parameters<typeof defaultPayloadConverter.fromPayload>[0];

const statusWords = [
  'unspecified',
  'running',
  'completed',
  'failed',
  'cancelled',
  'terminated',
  'continued-as-new',
  'timed-out',
];

function sagaOf({ execution, type, status, startTime, closeTime, memo, searchAttributes }: Executions[number]): Saga {
  const attributes = searchAttributes?.indexedFields ?? {};
  const fields = memo?.fields ?? {};
  const saga: Saga = {
    id: execution?.workflowId ?? '',
    workflow: type?.name ?? '',
    status: statusWords[status ?? 0] ?? 'unspecified',
    startedAt: instantOf(startTime) ?? '',
  };
  assign(saga, 'outcome', textOf(attributes[OUTCOME]));
  assign(saga, 'studentId', textOf(attributes[STUDENT_ID]));
  assign(saga, 'step', textOf(fields.step));
  assign(saga, 'error', textOf(fields.error));
  assign(saga, 'endedAt', instantOf(closeTime));
  return saga;
}

function assign<K extends keyof Saga>(saga: Saga, key: K, value: Saga[K] | undefined): void {
  if (value !== undefined) saga[key] = value;
}

/** Search attributes and memos are JSON, both. */
function textOf(payload: Payloads | undefined): string | undefined {
  if (!payload) return undefined;
  const value: unknown = defaultPayloadConverter.fromPayload(payload);
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' && first !== '' ? first : undefined;
}

function instantOf(time: { seconds?: { toNumber(): number } | null; nanos?: number | null } | null | undefined) {
  if (!time?.seconds) return undefined;
  return new Date(time.seconds.toNumber() * 1000 + (time.nanos ?? 0) / 1e6).toISOString();
}
