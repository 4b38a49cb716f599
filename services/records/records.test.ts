import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { EventLogService } from '#proto/eventlog/v1/service';
import { RecordsService } from '#proto/records/v1/service';
import { TranscriptStatus } from '#proto/records/v1/transcript';
import { records } from './records.ts';

let service: ServiceUnderTest;
let system: ReturnType<typeof service.client<typeof RecordsService>>;

beforeAll(async () => {
  service = await startForTest(records);
  system = service.client(RecordsService);
});
afterAll(() => service.stop());

function recording(studentId: string) {
  const section = { sectionId: 'T1-10001', termId: 'T1', courseId: 'CSE-101', credits: 4 };
  return { registrationId: randomUUID(), studentId, sections: [section] };
}

async function statuses(studentId: string): Promise<TranscriptStatus[]> {
  const { entries } = await system.listTranscript({ studentId });
  return entries.map((entry) => entry.status);
}

test('recording twice writes the transcript once and tells of it once', async () => {
  const request = recording('twice');

  await system.recordEnrollment(request);
  await system.recordEnrollment(request);

  expect(await statuses('twice')).toEqual([TranscriptStatus.ENROLLED]);
  const { events } = await service.client(EventLogService).readEvents({ subject: request.registrationId });
  expect(events.map((event) => event.type)).toEqual(['registrar.records.v1.EnrollmentRecorded']);
});

test('withdrawing twice takes the entry out once', async () => {
  const request = recording('withdrawn');
  await system.recordEnrollment(request);

  await system.withdrawEnrollment(request);
  await system.withdrawEnrollment(request);

  expect(await statuses('withdrawn')).toEqual([]);
});

test('a recording that arrives after its withdrawal is refused', async () => {
  const request = recording('late');
  await system.withdrawEnrollment(request);

  const late = await system.recordEnrollment(request).catch(refusalOf);

  expect(late).toMatchObject({ reason: 'enrollment-withdrawn' });
  expect(await statuses('late')).toEqual([]);
});

test('a drop marks the section as dropped, once', async () => {
  const request = recording('dropper');
  await system.recordEnrollment(request);
  const drop = { registrationId: randomUUID(), studentId: 'dropper', sectionIds: ['T1-10001'] };

  await system.recordDrop(drop);
  await system.recordDrop(drop);

  expect(await statuses('dropper')).toEqual([TranscriptStatus.DROPPED]);
});

test('a student sees their own transcript and nobody else’s', async () => {
  await system.recordEnrollment(recording('anna'));
  const asAnna = service.client(RecordsService, await tokenOf('anna', 'student'));
  const asBen = service.client(RecordsService, await tokenOf('ben', 'student'));

  expect((await asAnna.listTranscript({ studentId: 'anna' })).entries).toHaveLength(1);
  await expect(asBen.listTranscript({ studentId: 'anna' })).rejects.toMatchObject({ code: Code.PermissionDenied });
  await expect(asBen.recordEnrollment(recording('ben'))).rejects.toMatchObject({ code: Code.PermissionDenied });
});

test('a call without a token is refused', async () => {
  const nobody = service.client(RecordsService, 'not-a-token');
  await expect(nobody.listTranscript({ studentId: 'anna' })).rejects.toMatchObject({ code: Code.Unauthenticated });
});
