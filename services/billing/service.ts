/** The calls of billing. Each is safe to repeat, and each undo is safe before its step. */
import type { ServiceImpl } from '@connectrpc/connect';
import { requireRole, requireSelfOr } from '#lib/caller';
import { queryIn } from '#lib/database';
import type { Parts } from '#lib/service';
import { TuitionRateSetSchema } from '#proto/billing/v1/events';
import type { BillingService } from '#proto/billing/v1/service';
import { refundDrop } from './drop-refund.ts';
import type { PaymentGateway } from './gateway.ts';
import { readAccount } from './ledger.ts';
import { chargeTuition } from './payment.ts';
import { checkRate, TuitionRate, writeRate } from './rate.ts';
import { refundTuition } from './undo.ts';

export function billingService(
  { change, changeInSql, read, readInSql, database }: Parts,
  gateway: PaymentGateway,
): ServiceImpl<typeof BillingService> {
  const till = { change, changeInSql, database, gateway };
  return {
    async setTuitionRate(request, context) {
      requireRole(context, 'staff', 'system');
      const rate = checkRate(request.rate);
      return change(context, async ({ em, emit }) => {
        if (await writeRate(queryIn(em), rate)) emit(TuitionRateSetSchema, rate.termId, { rate });
        return {};
      });
    },

    async getTuitionRate({ termId }, context) {
      requireRole(context, 'staff', 'system');
      const rate = await read(context, (em) => em.findOneOrFail(TuitionRate, termId));
      return { rate: rate.toMessage() };
    },

    async chargeTuition(request, context) {
      requireRole(context, 'system');
      return { charge: await chargeTuition(till, request, context) };
    },

    async refundTuition(request, context) {
      requireRole(context, 'system');
      await refundTuition(till, request, context);
      return {};
    },

    async refundDrop(request, context) {
      requireRole(context, 'system');
      await refundDrop(till, request, context);
      return {};
    },

    async getStudentAccount({ studentId }, context) {
      requireSelfOr(context, studentId, 'staff', 'system');
      return readInSql(context, (query) => readAccount(query, studentId));
    },
  };
}
