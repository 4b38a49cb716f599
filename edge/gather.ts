/** Gathers the registrations that arrive together into one call: on opening morning that is what the machine can carry. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError } from '@connectrpc/connect';
import { Histogram } from 'prom-client';
import { Batcher } from '#lib/batcher';
import { gauge } from '#lib/metrics';
import { Refusal } from '#lib/refusal';
import {
  type RegisterManyResponse_Answer as Answer,
  type EnrollmentService,
  type RegisterManyRequest_Entry as Entry,
  RegisterManyRequest_EntrySchema as EntrySchema,
  type RegisterManyResponse_Failure as Failure,
  type RegisterResponse,
} from '#proto/enrollment/v1/service';
import { COMMAND_TIMEOUT_MS, present } from './ask.ts';
import { DependencyFailure } from './problem.ts';

const BATCH_MAX = 256;
const IN_FLIGHT_MAX = 2;
const QUEUE_MAX = 2_000;

const batchSize = new Histogram({
  name: 'registrar_edge_batch_size',
  help: 'Registrations sent to enrollment in one call',
  buckets: [1, 4, 16, 64, 128, 256],
});

interface Asked {
  entry: Entry;
  /** Of the process's own clock. */
  deadlineAtMs: number;
}

/** Answers what enrollment decided about one registration, within its deadline. @throws DependencyFailure */
export type Register = (entry: MessageInitShape<typeof EntrySchema>) => Promise<RegisterResponse>;

export function gatherRegistrations(
  enrollment: Client<typeof EnrollmentService>,
  timeoutMs = COMMAND_TIMEOUT_MS,
): Register {
  const batcher = new Batcher<Asked, RegisterResponse>({
    batchMax: BATCH_MAX,
    inFlightMax: IN_FLIGHT_MAX,
    queueMax: QUEUE_MAX,
    onBatch: (size) => batchSize.observe(size),
    run: (asked) => send(enrollment, asked),
  });
  gauge('registrar_edge_registrations_waiting', 'Registrations that wait to be sent', () => batcher.waiting);
  return async (entry) => {
    try {
      return await batcher.submit({ entry: create(EntrySchema, entry), deadlineAtMs: performance.now() + timeoutMs });
    } catch (error) {
      throw new DependencyFailure('enrollment', error);
    }
  };
}

/** Those whose time went by while they waited behind others are not sent: nobody waits for them any more. */
async function send(
  enrollment: Client<typeof EnrollmentService>,
  asked: Asked[],
): Promise<(RegisterResponse | Error)[]> {
  const now = performance.now();
  const timely = asked.filter(({ deadlineAtMs }) => deadlineAtMs > now);
  if (timely.length === 0) return asked.map(tooLate);
  const timeoutMs = Math.ceil(Math.max(...timely.map(({ deadlineAtMs }) => deadlineAtMs)) - now);
  const { answers } = await enrollment.registerMany({ entries: timely.map(({ entry }) => entry) }, { timeoutMs });
  const answered = new Map(timely.map((one, index) => [one, answers[index]]));
  return asked.map((one) => (answered.has(one) ? resultOf(present('enrollment', answered.get(one))) : tooLate()));
}

function tooLate(): Error {
  return new ConnectError('it waited to be sent for too long', Code.DeadlineExceeded);
}

function resultOf({ result }: Answer): RegisterResponse | Error {
  if (result.case === 'response') return result.value;
  return errorOf(present('enrollment', result.value));
}

function errorOf({ code, message, refusal }: Failure): Error {
  if (refusal) return new Refusal(refusal.reason, refusal.sentence, refusal.remedy);
  return new ConnectError(message, code in Code ? (code as Code) : Code.Unknown); // a gRPC status, as the contract says
}
