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

/** Answers what enrollment decided about one registration. @throws DependencyFailure */
export type Register = (entry: MessageInitShape<typeof EntrySchema>) => Promise<RegisterResponse>;

export function gatherRegistrations(enrollment: Client<typeof EnrollmentService>): Register {
  const batcher = new Batcher<Entry, RegisterResponse>({
    batchMax: BATCH_MAX,
    inFlightMax: IN_FLIGHT_MAX,
    queueMax: QUEUE_MAX,
    onBatch: (size) => batchSize.observe(size),
    run: async (entries) => {
      const { answers } = await enrollment.registerMany({ entries }, { timeoutMs: COMMAND_TIMEOUT_MS });
      return answers.map(resultOf);
    },
  });
  gauge('registrar_edge_registrations_waiting', 'Registrations that wait to be sent', () => batcher.waiting);
  return async (entry) => {
    try {
      return await batcher.submit(create(EntrySchema, entry));
    } catch (error) {
      throw new DependencyFailure('enrollment', error);
    }
  };
}

function resultOf({ result }: Answer): RegisterResponse | Error {
  if (result.case === 'response') return result.value;
  return errorOf(present('enrollment', result.value));
}

function errorOf({ code, message, refusal }: Failure): Error {
  if (refusal) return new Refusal(refusal.reason, refusal.sentence, refusal.remedy);
  return new ConnectError(message, code in Code ? (code as Code) : Code.Unknown); // a gRPC status, as the contract says
}
