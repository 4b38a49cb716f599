/** The calls of records. Each is safe to repeat, and each undo is safe before its step. */
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { requireRole, requireSelfOr } from '#lib/caller';
import { type Query, queryIn } from '#lib/database';
import { Refusal } from '#lib/refusal';
import type { Parts } from '#lib/service';
import { DropRecordedSchema, EnrollmentRecordedSchema, EnrollmentWithdrawnSchema } from '#proto/records/v1/events';
import type { RecordDropRequest, RecordEnrollmentRequest, RecordsService } from '#proto/records/v1/service';
import { enrolledEntries, Recording, TranscriptEntry } from './transcript.ts';

/** The index by which a student is enrolled in a section once. */
const ENROLLED_ONCE = 'transcript_entries_once';

export function recordsService({ change, changeInSql, read }: Parts): ServiceImpl<typeof RecordsService> {
  return {
    async recordEnrollment(request, context) {
      requireRole(context, 'system');
      return changeInSql(context, async ({ query, emit }) => {
        const { registrationId, studentId } = request;
        const recordedAt = new Date();
        if (await insertRecording(query, request, recordedAt).catch(rethrowStillEnrolled)) {
          const entries = enrolledEntries(request, recordedAt);
          emit(EnrollmentRecordedSchema, registrationId, { registrationId, studentId, entries });
        } else await requireRecorded(query, registrationId);
        return {};
      });
    },

    async withdrawEnrollment(request, context) {
      requireRole(context, 'system');
      return change(context, async ({ em, emit }) => {
        const isNew = await insertTombstone(queryIn(em), request);
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
      const entries = await read(context, (em) =>
        em.find(
          TranscriptEntry,
          { studentId, status: { $ne: 'withdrawn' } },
          { orderBy: { termId: 'asc', courseId: 'asc', sectionId: 'asc', recordedAt: 'asc' } },
        ),
      );
      return { entries: entries.map((entry) => entry.toMessage()) };
    },
  };
}

/** @returns whether this call is the first to name the registration; whoever comes second waits here for the first. */
async function insertTombstone(
  query: Query,
  { registrationId, studentId }: { registrationId: string; studentId: string },
): Promise<boolean> {
  const inserted = await query(
    `insert into recordings (registration_id, student_id, status) values ($1, $2, 'withdrawn')
     on conflict do nothing returning registration_id`,
    [registrationId, studentId],
  );
  return inserted.length > 0;
}

/** By hand, as every saga asks for it. @returns whether this call is the first to name the registration, as above. */
async function insertRecording(query: Query, request: RecordEnrollmentRequest, recordedAt: Date): Promise<boolean> {
  const { registrationId, studentId, sections } = request;
  const inserted = await query(
    `with recording as (
       insert into recordings (registration_id, student_id, status) values ($1, $2, 'recorded')
       on conflict do nothing returning registration_id
     ), entries as (
       insert into transcript_entries
         (registration_id, student_id, status, recorded_at, section_id, term_id, course_id, credits)
       select $1, $2, 'enrolled', $3, section.*
       from recording, unnest($4::text[], $5::text[], $6::text[], $7::integer[]) as section
     )
     select registration_id from recording`,
    [
      registrationId,
      studentId,
      recordedAt,
      sections.map(({ sectionId }) => sectionId),
      sections.map(({ termId }) => termId),
      sections.map(({ courseId }) => courseId),
      sections.map(({ credits }) => credits),
    ],
  );
  return inserted.length > 0;
}

/** @throws Refusal `enrollment-withdrawn` */
async function requireRecorded(query: Query, registrationId: string): Promise<void> {
  const [recording] = await query<{ status: string }>(
    'select status from recordings where registration_id = $1 for update',
    [registrationId],
  );
  if (recording?.status === 'recorded') return;
  throw new Refusal('enrollment-withdrawn', 'This registration was undone before it was recorded.');
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
  if (error instanceof Error && 'constraint' in error && error.constraint === ENROLLED_ONCE)
    throw new ConnectError('the drop of an earlier enrollment is not recorded yet', Code.Aborted);
  throw error;
}
