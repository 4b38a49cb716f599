/** A rule that says no: an answer, not a fault. */
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { RefusalSchema } from '#proto/refusal/v1/refusal';

/**
 * Thrown where a rule says no; travels as FAILED_PRECONDITION with its reason.
 *
 * @example throw new Refusal('materials-out-of-stock', 'The bookstore has no copy left.', 'Register without materials.');
 */
export class Refusal extends Error {
  readonly reason: string;
  readonly remedy: string;

  constructor(reason: string, sentence: string, remedy = '') {
    super(sentence);
    this.name = 'Refusal';
    this.reason = reason;
    this.remedy = remedy;
  }
}

/** The refusal inside an error that came over the wire, if it is one. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (!(error instanceof ConnectError) || error.code !== Code.FailedPrecondition) return undefined;
  const [detail] = error.findDetails(RefusalSchema);
  return detail && new Refusal(detail.reason, detail.sentence, detail.remedy);
}

export function refusalToConnectError(refusal: Refusal): ConnectError {
  const { reason, message, remedy } = refusal;
  const detail = create(RefusalSchema, { reason, sentence: message, remedy });
  return new ConnectError(
    message,
    Code.FailedPrecondition,
    undefined,
    [{ desc: RefusalSchema, value: detail }],
    refusal,
  );
}
