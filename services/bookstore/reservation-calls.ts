/** The calls of the saga and of the counter. Each is safe to repeat, and the undo is safe before its step. */
import type { ServiceImpl } from '@connectrpc/connect';
import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { invalid } from '#lib/argument';
import { requireRole } from '#lib/caller';
import type { Change } from '#lib/change';
import { Refusal } from '#lib/refusal';
import type { Parts } from '#lib/service';
import { MaterialsIssuedSchema, MaterialsReleasedSchema, MaterialsReservedSchema } from '#proto/bookstore/v1/events';
import type { BookstoreService, ReserveMaterialsRequest } from '#proto/bookstore/v1/service';
import { lockMaterials, type Material } from './material.ts';
import { claim, quantitiesOf, Reservation, ReservationLine } from './reservation.ts';

/** Of one material in one section of one registration. */
const QUANTITY_MAX = 100;

type ReservationCalls = Pick<
  ServiceImpl<typeof BookstoreService>,
  'reserveMaterials' | 'releaseMaterials' | 'issueMaterials'
>;

export function reservationCalls({ change }: Parts): ReservationCalls {
  return {
    async reserveMaterials(request, context) {
      requireRole(context, 'system');
      const { registrationId, studentId } = request;
      const wanted = linesOf(request);
      return change(context, async ({ em, emit }) => {
        const reservation = await claim(em, request);
        if (reservation.state === 'closed') throw released();
        if (reservation.state === 'open') return {};
        reservation.state = 'open';
        const lines = wanted.filter(({ sectionId }) => !reservation.releasedSections.includes(sectionId));
        if (lines.length === 0) return {};
        const materials = await reserveAll(em, quantitiesOf(lines));
        for (const line of lines) em.create(ReservationLine, { ...line, registrationId, state: 'reserved' });
        emit(MaterialsReservedSchema, registrationId, { registrationId, studentId, materials: messagesOf(materials) });
        return {};
      });
    },

    async releaseMaterials(request, context) {
      requireRole(context, 'system');
      return change(context, async (within) => {
        const reservation = await claim(within.em, request);
        if (reservation.state !== 'closed') await release(within, reservation, request.sectionIds);
        const issued = await linesThatAre('issued', within.em, request);
        return { issuedSectionIds: [...new Set(issued.map(({ sectionId }) => sectionId))] };
      });
    },

    async issueMaterials({ registrationId }, context) {
      requireRole(context, 'staff', 'system');
      return change(context, async ({ em, emit }) => {
        const lockMode = LockMode.PESSIMISTIC_WRITE;
        const { state, studentId, completed } = await em.findOneOrFail(Reservation, registrationId, { lockMode });
        if (state !== 'closed' && !completed) throw pending();
        const lines = await linesThatAre('reserved', em, { registrationId });
        if (lines.length > 0) {
          const materials = messagesOf(await moveCopies(em, lines, 'issued'));
          emit(MaterialsIssuedSchema, registrationId, { registrationId, studentId, materials });
          return { materials };
        }
        const issued = await linesThatAre('issued', em, { registrationId });
        if (issued.length === 0 && state === 'closed') throw released();
        const materials = await lockMaterials(em, quantitiesOf(issued).keys());
        return { materials: messagesOf([...materials.values()]) };
      });
    },
  };
}

/** All or none: a refusal rolls back what was set aside before it. */
async function reserveAll(em: EntityManager, quantities: Map<string, number>): Promise<Material[]> {
  const materials = await lockMaterials(em, quantities.keys());
  for (const [id, quantity] of quantities) {
    const material = materials.get(id);
    if (!material || material.removed)
      throw new Refusal('unknown-material', `The bookstore does not have “${material?.name ?? id}”.`);
    if (material.stock < quantity)
      throw new Refusal(
        'materials-out-of-stock',
        `The bookstore is out of “${material.name}”.`,
        'Register without buying materials, or wait until it is back.',
      );
    material.reserve(quantity);
  }
  return [...materials.values()];
}

/** Without sections, all of the registration's. */
async function release({ em, emit }: Change, reservation: Reservation, sectionIds: string[]): Promise<void> {
  const { registrationId, studentId } = reservation;
  const closes = sectionIds.length === 0;
  if (closes) reservation.state = 'closed';
  else reservation.releasedSections = [...new Set([...reservation.releasedSections, ...sectionIds])];
  const lines = await linesThatAre('reserved', em, { registrationId, sectionIds });
  if (lines.length === 0 && !closes) return;
  const materials = messagesOf(await moveCopies(em, lines, 'released'));
  emit(MaterialsReleasedSchema, registrationId, { registrationId, studentId, materials });
}

async function moveCopies(em: EntityManager, lines: ReservationLine[], to: 'released' | 'issued'): Promise<Material[]> {
  const quantities = quantitiesOf(lines);
  const materials = [...(await lockMaterials(em, quantities.keys())).values()];
  for (const material of materials) {
    const quantity = quantities.get(material.id) ?? 0;
    if (to === 'released') material.release(quantity);
    else material.issue(quantity);
  }
  for (const line of lines) line.state = to;
  return materials;
}

/** Lines of a registration: of these sections, or of all of them where none is named. */
function linesThatAre(
  state: 'reserved' | 'issued',
  em: EntityManager,
  { registrationId, sectionIds = [] }: { registrationId: string; sectionIds?: string[] },
): Promise<ReservationLine[]> {
  const ofSections = sectionIds.length > 0 ? { sectionId: { $in: sectionIds } } : {};
  return em.find(ReservationLine, { registrationId, state, ...ofSections });
}

/** One line a section and material, however often the request names them. @throws INVALID_ARGUMENT */
function linesOf({ sections }: ReserveMaterialsRequest) {
  return [...Map.groupBy(sections, ({ sectionId }) => sectionId)].flatMap(([sectionId, parts]) => {
    const lines = parts.flatMap((part) => part.lines);
    if (lines.some(({ quantity }) => quantity < 1 || quantity > QUANTITY_MAX))
      throw invalid('quantity', `must be 1 to ${QUANTITY_MAX}`);
    return [...quantitiesOf(lines)].map(([materialId, quantity]) => ({ sectionId, materialId, quantity }));
  });
}

function messagesOf(materials: Material[]) {
  return materials.map((material) => material.toMessage());
}

function released(): Refusal {
  return new Refusal('materials-released', 'The materials of this registration were released already.');
}

function pending(): Refusal {
  return new Refusal(
    'registration-pending',
    'This registration is not completed yet.',
    'Wait until the registration is completed.',
  );
}
