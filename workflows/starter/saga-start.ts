/** Which sagas a decided registration needs, and what each is handed. */
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Action, type Item, Materials, Outcome, type Registration } from '#proto/enrollment/v1/registration';
import type { DropInput, EnrollInput, SagaItem } from '../input.ts';

interface StartBase {
  registrationId: string;
  studentId: string;
  sectionIds: string[];
  /** One line for people who look at the Web UI. */
  summary: string;
}

export type SagaStart = StartBase &
  ({ workflow: 'enroll'; input: EnrollInput } | { workflow: 'drop'; input: DropInput });

/** One for the reserved seats, one for the drops of enrolled ones; none where neither is. */
export function sagasOf(registration: Registration, deadlineMs: number): SagaStart[] {
  const { id: registrationId, studentId, items, paymentMethod, materials, requestedAt } = registration;
  const reserved = items.filter(({ outcome }) => outcome === Outcome.RESERVED).map(sagaItemOf);
  const dropped = items.filter(isSettled).map(sagaItemOf);
  const starts: SagaStart[] = [];
  if (reserved.length > 0) {
    const buyMaterials = materials === Materials.BUY && reserved.some((item) => item.materials.length > 0);
    const input = { registrationId, studentId, items: reserved, paymentMethod, buyMaterials, deadlineMs };
    starts.push({ workflow: 'enroll', input, ...describe('enrolls in', registrationId, studentId, reserved) });
  }
  if (dropped.length > 0 && requestedAt) {
    const input = { registrationId, studentId, items: dropped, droppedAt: timestampDate(requestedAt).toISOString() };
    starts.push({ workflow: 'drop', input, ...describe('drops', registrationId, studentId, dropped) });
  }
  return starts;
}

/** A drop of an enrolled section has money, copies and a transcript to settle; a place on a waitlist has not. */
function isSettled({ action, outcome, enrolledBy }: Item): boolean {
  return action === Action.DROP && outcome === Outcome.DROPPED && enrolledBy !== '';
}

function describe(verb: string, registrationId: string, studentId: string, items: SagaItem[]): StartBase {
  const sectionIds = items.map(({ sectionId }) => sectionId);
  const what = items.map(({ courseId, sectionId }) => `${courseId} (${sectionId})`).join(', ');
  return { registrationId, studentId, sectionIds, summary: `${studentId} ${verb} ${what}` };
}

function sagaItemOf(item: Item): SagaItem {
  const { sectionId, termId, courseId, credits, fee, materials, enrolledBy, sectionCancelled } = item;
  return {
    sectionId,
    termId,
    courseId,
    credits,
    fee: fee ? { amount: Number(fee.amount), currency: fee.currency } : null,
    materials: materials.map(({ materialId, quantity }) => ({ materialId, quantity })),
    enrolledBy,
    sectionCancelled,
  };
}
