/** The calls of records. Each is safe to repeat, and each undo is safe before its step. */
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type EntityManager, LockMode, UniqueConstraintViolationException } from '@mikro-orm/postgresql';
import { requireRole, requireSelfOr } from '#lib/caller';
import { Refusal } from '#lib/refusal';
import type { Parts } from '#lib/service';
import { DropRecordedSchema, EnrollmentRecordedSchema, EnrollmentWithdrawnSchema } from '#proto/records/v1/events';
import type { RecordDropRequest, RecordEnrollmentRequest, RecordsService } from '#proto/records/v1/service';
import { Recording, TranscriptEntry } from './transcript.ts';

/** The index by which a student is enrolled in a section once. */
const ENROLLED_ONCE = 'transcript_entries_once';

export function recordsService({ change, database }: Parts): ServiceImpl<typeof RecordsService> {
  return {
    async recordEnrollment(request, context) {
      requireRole(context, 'system');
      return change(context, async ({ em, emit }) => {
        if (!(await insertRecording(em, request, 'recorded'))) {
          const { status } = await lockRecording(em, request.registrationId);
          if (status === 'recorded') return {};
          throw new Refusal('enrollment-withdrawn', 'This registration was undone before it was recorded.');
        }
        const entries = request.sections.map((section) => em.create(TranscriptEntry, entryOf(request, section)));
        await em.flush().catch(rethrowStillEnrolled);
        emit(EnrollmentRecordedSchema, request.registrationId, {
          registrationId: request.registrationId,
          studentId: request.studentId,
          entries: entries.map((entry) => entry.toMessage()),
        });
        return {};
      });
    },

    async withdrawEnrollment(request, context) {
      requireRole(context, 'system');
      return change(context, async ({ em, emit }) => {
        const isNew = await insertRecording(em, request, 'withdrawn');
        const recording = await lockRecording(em, request.registrationId);
        if (!isNew && recording.status === 'withdrawn') return {};
        recording.status = 'withdrawn';
        const entries = await em.find(TranscriptEntry, { registrationId: request.registrationId, status: 'enrolled' });
        for (const entry of entries) entry.status = 'withdrawn';
        emit(EnrollmentWithdrawnSchema, request.registrationId, {
          registrationId: request.registrationId,
          studentId: recording.studentId,
          entries: entries.map((entry) => entry.toMessage()),
        });
        return {};
      });
    },

    async recordDrop(request, context) {
      requireRole(context, 'system');
      return change(context, async ({ em, emit }) => {
        const { studentId } = request;
        const entries = await lockEnrolled(em, request);
        if (entries.length === 0) return {};
        for (const entry of entries) entry.status = 'dropped';
        emit(DropRecordedSchema, request.registrationId, {
          registrationId: request.registrationId,
          studentId,
          entries: entries.map((entry) => entry.toMessage()),
        });
        return {};
      });
    },

    async listTranscript({ studentId }, context) {
      requireSelfOr(context, studentId, 'staff', 'system');
      const entries = await database.orm.em
        .fork()
        .find(
          TranscriptEntry,
          { studentId, status: { $ne: 'withdrawn' } },
          { orderBy: { termId: 'asc', courseId: 'asc', sectionId: 'asc', recordedAt: 'asc' } },
        );
      return { entries: entries.map((entry) => entry.toMessage()) };
    },
  };
}

/** @returns whether this call is the first to name the registration; whoever comes second waits here for the first. */
async function insertRecording(
  em: EntityManager,
  { registrationId, studentId }: { registrationId: string; studentId: string },
  status: 'recorded' | 'withdrawn',
): Promise<boolean> {
  const inserted = await em.execute(
    `insert into recordings (registration_id, student_id, status) values (?, ?, ?)
     on conflict do nothing returning registration_id`,
    [registrationId, studentId, status],
  );
  return inserted.length > 0;
}

function lockRecording(em: EntityManager, registrationId: string): Promise<Recording> {
  return em.findOneOrFail(Recording, registrationId, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** The entries that a drop is about: a repeated one finds none, also where the student was enrolled again meanwhile. */
async function lockEnrolled(
  em: EntityManager,
  { studentId, sections }: Pick<RecordDropRequest, 'studentId' | 'sections'>,
): Promise<TranscriptEntry[]> {
  if (sections.length === 0) return [];
  const named = sections.map(({ enrolledBy: registrationId, sectionId }) => ({ registrationId, sectionId }));
  return em.find(
    TranscriptEntry,
    { studentId, status: 'enrolled', $or: named },
    { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { registrationId: 'asc', sectionId: 'asc' } },
  );
}

/** A seat is free as soon as its drop is decided, so whoever takes it again can be here before that drop is. */
function rethrowStillEnrolled(error: unknown): never {
  if (
    error instanceof UniqueConstraintViolationException &&
    'constraint' in error &&
    error.constraint === ENROLLED_ONCE
  )
    throw new ConnectError('the drop of an earlier enrollment is not recorded yet', Code.Aborted);
  throw error;
}

function entryOf(request: RecordEnrollmentRequest, section: RecordEnrollmentRequest['sections'][number]) {
  const { sectionId, termId, courseId, credits } = section;
  const { registrationId, studentId } = request;
  const recordedAt = new Date();
  return { registrationId, studentId, sectionId, termId, courseId, credits, status: 'enrolled' as const, recordedAt };
}
