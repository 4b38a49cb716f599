/** What a registration asked the bookstore to set aside, and what became of it. */
import { defineEntity, type EntityManager, LockMode, p } from '@mikro-orm/postgresql';
import { invalid } from '#lib/argument';

/**
 * One registration as the bookstore knows it. A closed one stays as a tombstone that refuses a reservation which arrives late; an
 * expected one has not arrived, and a drop or the registration's completion has.
 */
const ReservationEntity = defineEntity({
  name: 'Reservation',
  tableName: 'reservations',
  properties: {
    registrationId: p.uuid().primary(),
    studentId: p.string(),
    state: p.enum(['expected', 'open', 'closed'] as const),
    releasedSections: p.array(),
    /** Whether enrollment has completed the registration: from then on nothing but a drop takes copies back. */
    completed: p.boolean(),
  },
});
export class Reservation extends ReservationEntity.class {}
ReservationEntity.setClass(Reservation);

const ReservationLineEntity = defineEntity({
  name: 'ReservationLine',
  tableName: 'reservation_lines',
  properties: {
    registrationId: p.uuid().primary(),
    sectionId: p.string().primary(),
    materialId: p.string().primary(),
    quantity: p.integer(),
    state: p.enum(['reserved', 'released', 'issued'] as const),
  },
});
export class ReservationLine extends ReservationLineEntity.class {}
ReservationLineEntity.setClass(ReservationLine);

/**
 * Takes the registration's row, locked, and makes it where this call is the first to name the registration. Always the first lock of
 * a call; materials come after it.
 * @throws INVALID_ARGUMENT when the registration is another student's.
 */
export async function claim(
  em: EntityManager,
  { registrationId, studentId }: { registrationId: string; studentId: string },
): Promise<Reservation> {
  await em.execute(
    `insert into reservations (registration_id, student_id, state, released_sections, completed)
     values (?, ?, 'expected', '{}', false)
     on conflict do nothing`,
    [registrationId, studentId],
  );
  const reservation = await em.findOneOrFail(Reservation, registrationId, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (reservation.studentId !== studentId) throw invalid('student_id', 'the registration is of another student');
  return reservation;
}

/** Of each material, how many copies the lines are about. */
export function quantitiesOf(lines: Pick<ReservationLine, 'materialId' | 'quantity'>[]): Map<string, number> {
  const quantities = new Map<string, number>();
  for (const { materialId, quantity } of lines)
    quantities.set(materialId, (quantities.get(materialId) ?? 0) + quantity);
  return quantities;
}
