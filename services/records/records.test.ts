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

/** A new registration that drops what another one recorded. */
function dropOf({ registrationId: enrolledBy, studentId, sections }: ReturnType<typeof recording>) {
  const dropped = sections.map(({ sectionId }) => ({ sectionId, enrolledBy }));
  return { registrationId: randomUUID(), studentId, sections: dropped };
}

async function eventsOf(subject: string): Promise<string[]> {
  const { events } = await service.client(EventLogService).readEvents({ subject });
  return events.map(({ type }) => type.replace('registrar.records.v1.', ''));
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
  expect(await eventsOf(request.registrationId)).toEqual(['EnrollmentRecorded']);
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
  const drop = dropOf(request);

  await system.recordDrop(drop);
  await system.recordDrop(drop);

  expect(await statuses('dropper')).toEqual([TranscriptStatus.DROPPED]);
  expect(await eventsOf(drop.registrationId)).toEqual(['DropRecorded']);
});

test('a drop that is repeated after the student was enrolled again leaves the new entry alone', async () => {
  const [first, again] = [recording('returner'), recording('returner')];
  const drop = dropOf(first);
  await system.recordEnrollment(first);
  await system.recordDrop(drop);
  await system.recordEnrollment(again);

  await system.recordDrop(drop);

  expect(await statuses('returner')).toEqual([TranscriptStatus.DROPPED, TranscriptStatus.ENROLLED]);
  expect(await eventsOf(drop.registrationId)).toEqual(['DropRecorded']);
});

test('a drop touches what it names, of its own student, and nothing else', async () => {
  const request = recording('stayer');
  await system.recordEnrollment(request);
  const drop = dropOf(request);
  const others = [
    { ...drop, studentId: 'somebody-else' },
    { ...drop, sections: [{ sectionId: 'T1-10002', enrolledBy: request.registrationId }] },
    { ...drop, sections: [] },
  ];

  for (const other of others) await system.recordDrop(other);

  expect(await statuses('stayer')).toEqual([TranscriptStatus.ENROLLED]);
});

test('an enrollment that overtakes the drop before it is to be asked again, and is recorded after the drop', async () => {
  const [first, again] = [recording('hasty'), recording('hasty')];
  await system.recordEnrollment(first);

  const early = system.recordEnrollment(again);
  await expect(early).rejects.toMatchObject({
    code: Code.Aborted,
    rawMessage: 'the drop of an earlier enrollment is not recorded yet',
  });
  expect(await eventsOf(again.registrationId)).toEqual([]);
  await system.recordDrop(dropOf(first));
  await system.recordEnrollment(again);

  expect(await statuses('hasty')).toEqual([TranscriptStatus.DROPPED, TranscriptStatus.ENROLLED]);
  expect(await eventsOf(again.registrationId)).toEqual(['EnrollmentRecorded']);
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
