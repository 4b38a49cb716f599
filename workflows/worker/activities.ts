/** The steps and their undos, each one call to the service that owns the fact. All are safe to repeat. */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type CallOptions, Code, ConnectError } from '@connectrpc/connect';
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Clients } from '#lib/clients';
import { refusalOf } from '#lib/refusal';
import { BillingService } from '#proto/billing/v1/service';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { RecordsService } from '#proto/records/v1/service';
import type { DropInput, EnrollInput, SagaItem } from '../input.ts';

const CALL_TIMEOUT_MS = 5_000;
/** Longer than billing gives the payment provider. */
const CHARGE_TIMEOUT_MS = 15_000;

export type Activities = ReturnType<typeof createActivities>;

export function createActivities(clients: Clients) {
  const enrollment = clients.of(EnrollmentService, 'enrollment');
  const billing = clients.of(BillingService, 'billing');
  const bookstore = clients.of(BookstoreService, 'bookstore');
  const records = clients.of(RecordsService, 'records');

  return {
    /** @returns whether an earlier run of the saga has confirmed them already. */
    reserveSeats: async ({ registrationId }: EnrollInput): Promise<{ isConfirmed: boolean }> => {
      const { confirmed } = await ask((options) => enrollment.reserveSeats({ registrationId }, options));
      return { isConfirmed: confirmed };
    },

    releaseSeats: ({ registrationId }: EnrollInput, reason: string) =>
      call((options) => enrollment.releaseSeats({ registrationId, reason }, options)),

    confirmSeats: ({ registrationId }: EnrollInput) =>
      call((options) => enrollment.confirmSeats({ registrationId }, options)),

    chargeTuition: ({ registrationId, studentId, items, paymentMethod, buyMaterials }: EnrollInput) => {
      const termId = items[0]?.termId ?? '';
      const chargeItems = items.map((item) => chargeItemOf(item, buyMaterials));
      return call(
        (options) =>
          billing.chargeTuition({ registrationId, studentId, termId, items: chargeItems, paymentMethod }, options),
        CHARGE_TIMEOUT_MS,
      );
    },

    refundTuition: ({ registrationId, studentId }: EnrollInput, reason: string) =>
      call((options) => billing.refundTuition({ registrationId, studentId, reason }, options), CHARGE_TIMEOUT_MS),

    reserveMaterials: ({ registrationId, studentId, items }: EnrollInput) => {
      const sections = items
        .filter(({ materials }) => materials.length > 0)
        .map(({ sectionId, materials }) => ({ sectionId, lines: materials }));
      return call((options) => bookstore.reserveMaterials({ registrationId, studentId, sections }, options));
    },

    releaseMaterials: ({ registrationId, studentId }: EnrollInput) =>
      call((options) => bookstore.releaseMaterials({ registrationId, studentId }, options)),

    recordEnrollment: ({ registrationId, studentId, items }: EnrollInput) => {
      const sections = items.map(({ sectionId, termId, courseId, credits }) => ({
        sectionId,
        termId,
        courseId,
        credits,
      }));
      return call((options) => records.recordEnrollment({ registrationId, studentId, sections }, options));
    },

    withdrawEnrollment: ({ registrationId, studentId }: EnrollInput) =>
      call((options) => records.withdrawEnrollment({ registrationId, studentId }, options)),

    recordDrop: ({ registrationId, studentId, items, droppedAt }: DropInput) => {
      const sections = droppedSectionsOf(items);
      return call((options) =>
        records.recordDrop({ registrationId, studentId, sections, droppedAt: timestampOf(droppedAt) }, options),
      );
    },

    /**
     * Copies are put back under the registration that had them set aside.
     * @returns the sections whose copies the student has fetched, and keeps.
     */
    returnMaterials: async ({ studentId, items }: DropInput): Promise<string[]> => {
      const kept: string[] = [];
      for (const { enrolledBy: registrationId, sectionId } of items) {
        const { issuedSectionIds } = await ask((options) =>
          bookstore.releaseMaterials({ registrationId, studentId, sectionIds: [sectionId] }, options),
        );
        kept.push(...issuedSectionIds);
      }
      return kept;
    },

    refundDrop: ({ registrationId, studentId, items, droppedAt }: DropInput, keptSectionIds: string[]) => {
      const sections = items.map(({ sectionId, enrolledBy, sectionCancelled }) => ({
        ...{ sectionId, enrolledBy, sectionCancelled },
        keepsMaterials: keptSectionIds.includes(sectionId),
      }));
      return call(
        (options) =>
          billing.refundDrop({ registrationId, studentId, sections, droppedAt: timestampOf(droppedAt) }, options),
        CHARGE_TIMEOUT_MS,
      );
    },

    finishDrops: ({ registrationId }: DropInput) =>
      call((options) => enrollment.finishDrops({ registrationId }, options)),
  };
}

function chargeItemOf({ sectionId, credits, fee, materials }: SagaItem, buyMaterials: boolean) {
  const money = fee && { amount: BigInt(fee.amount), currency: fee.currency };
  return { sectionId, credits, ...(money && { fee: money }), materials: buyMaterials ? materials : [] };
}

function droppedSectionsOf(items: SagaItem[]) {
  return items.map(({ sectionId, enrolledBy }) => ({ sectionId, enrolledBy }));
}

function timestampOf(text: string) {
  return timestampFromDate(new Date(text));
}

/** A call whose answer the saga has no use for. */
async function call(send: (options: CallOptions) => Promise<unknown>, timeoutMs?: number): Promise<void> {
  await ask(send, timeoutMs);
}

/** One call with a deadline, ended when the activity is cancelled. */
async function ask<T>(send: (options: CallOptions) => Promise<T>, timeoutMs = CALL_TIMEOUT_MS): Promise<T> {
  const context = Context.current();
  try {
    return await send({ timeoutMs, signal: context.cancellationSignal });
  } catch (error) {
    // Said in Temporal's words, or it counts as one more failed attempt, and the wish is forgotten.
    if (context.cancellationDetails?.cancelRequested) throw new CancelledFailure('the step was cancelled');
    throw toFailure(error);
  }
}

/** What asking again mends only once other code runs. */
const FAULTS = new Set([Code.InvalidArgument, Code.NotFound, Code.PermissionDenied, Code.Unimplemented]);

/** A rule that says no ends the step, and so does a fault of ours where it can be undone; anything else is an outage, and is tried again. */
function toFailure(error: unknown): unknown {
  const refusal = refusalOf(error);
  if (refusal) return ApplicationFailure.nonRetryable(refusal.message, 'Refusal', refusal.reason);
  const { code, rawMessage } = ConnectError.from(error);
  if (FAULTS.has(code)) return ApplicationFailure.retryable(`${Code[code]}: ${rawMessage}`, 'Fault');
  return error;
}
