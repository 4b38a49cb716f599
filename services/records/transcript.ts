/** A student's transcript: what each registration wrote into it, and what later took it out again. */
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { defineEntity, p } from '@mikro-orm/postgresql';
import { fromWord } from '#lib/words';
import type { RecordEnrollmentRequest } from '#proto/records/v1/service';
import {
  type TranscriptEntry as TranscriptEntryMessage,
  TranscriptEntrySchema,
  TranscriptStatus,
  TranscriptStatusSchema,
} from '#proto/records/v1/transcript';

/** One registration as this service knows it. A withdrawn one stays as a tombstone: it refuses a recording that arrives late. */
const RecordingEntity = defineEntity({
  name: 'Recording',
  tableName: 'recordings',
  properties: {
    registrationId: p.uuid().primary(),
    studentId: p.string(),
    status: p.enum(['recorded', 'withdrawn'] as const),
  },
});
export class Recording extends RecordingEntity.class {}
RecordingEntity.setClass(Recording);

const TranscriptEntryEntity = defineEntity({
  name: 'TranscriptEntry',
  tableName: 'transcript_entries',
  properties: {
    registrationId: p.uuid().primary(),
    sectionId: p.string().primary(),
    studentId: p.string(),
    termId: p.string(),
    courseId: p.string(),
    credits: p.integer(),
    status: p.enum(['enrolled', 'dropped', 'withdrawn'] as const),
    recordedAt: p.datetime(),
  },
});
export class TranscriptEntry extends TranscriptEntryEntity.class {
  toMessage(): TranscriptEntryMessage {
    const { registrationId, sectionId, studentId, termId, courseId, credits } = this;
    const status = fromWord<TranscriptEntryMessage['status']>(TranscriptStatusSchema, this.status);
    const recordedAt = timestampFromDate(this.recordedAt);
    return create(TranscriptEntrySchema, {
      registrationId,
      sectionId,
      studentId,
      termId,
      courseId,
      credits,
      status,
      recordedAt,
    });
  }
}
TranscriptEntryEntity.setClass(TranscriptEntry);

/** What a recording writes, as it is told of. */
export function enrolledEntries(request: RecordEnrollmentRequest, recordedAt: Date): TranscriptEntryMessage[] {
  const { registrationId, studentId, sections } = request;
  return sections.map(({ sectionId, termId, courseId, credits }) =>
    create(TranscriptEntrySchema, {
      ...{ registrationId, studentId, sectionId, termId, courseId, credits },
      status: TranscriptStatus.ENROLLED,
      recordedAt: timestampFromDate(recordedAt),
    }),
  );
}

export const entities = [Recording, TranscriptEntry];
