import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { type ServiceUnderTest, startForTest } from '#lib/testing';
import { CourseSchema, SectionSchema, SectionStatus, TermSchema } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { catalog } from './catalog.ts';

const RACERS = 20;

let service: ServiceUnderTest;
let system: ReturnType<typeof service.client<typeof CatalogService>>;
let made = 0;

beforeAll(async () => {
  service = await startForTest(catalog);
  system = service.client(CatalogService);
});
afterAll(() => service.stop());

/** The same for each noun: what makes one, and how it is put and got. `text` is what one of its fields says. */
const nouns = {
  term: {
    newOne: async (): Promise<string> => `T${++made}`,
    put: (id: string, expected?: bigint, text = 'Fall', dryRun = false) =>
      system.putTerms({ terms: [termOf(id, text)], dryRun, expectedVersions: expectedOf(id, expected) }),
    get: async (id: string) => {
      const { term, version } = await system.getTerm({ termId: id });
      return { text: term?.name, version };
    },
  },
  course: {
    newOne: async (): Promise<string> => `CSE-${++made}`,
    put: (id: string, expected?: bigint, text = 'Data', dryRun = false) =>
      system.putCourses({ courses: [courseOf(id, text)], dryRun, expectedVersions: expectedOf(id, expected) }),
    get: async (id: string) => {
      const { course, version } = await system.getCourse({ courseId: id });
      return { text: course?.title, version };
    },
  },
  section: {
    newOne: async (): Promise<string> => {
      const termId = `T${++made}`;
      await system.putTerms({ terms: [termOf(termId)] });
      await system.putCourses({ courses: [courseOf(`OF-${termId}`)] });
      return `${termId}-1`;
    },
    put: (id: string, expected?: bigint, text = 'A01', dryRun = false) =>
      system.putSections({ sections: [sectionOf(id, text)], dryRun, expectedVersions: expectedOf(id, expected) }),
    get: async (id: string) => {
      const { section, version } = await system.getSection({ sectionId: id });
      return { text: section?.code, version };
    },
  },
};

function expectedOf(id: string, version: bigint | undefined): Record<string, bigint> {
  return version === undefined ? {} : { [id]: version };
}

function termOf(id: string, name = 'Fall') {
  const dates = { startsOn: '2026-08-24', endsOn: '2026-12-11' };
  return create(TermSchema, { id, name, timeZone: 'America/Chicago', ...dates, creditsMax: 18 });
}

function courseOf(id: string, title = 'Data') {
  return create(CourseSchema, { id, subject: 'CSE', code: 'CSE 1', title, credits: 4 });
}

function sectionOf(id: string, code = 'A01', changes: MessageInitShape<typeof SectionSchema> = {}) {
  const termId = id.split('-')[0] ?? '';
  const common = { id, termId, courseId: `OF-${termId}`, capacity: 30, status: SectionStatus.OPEN };
  return create(SectionSchema, { ...common, code, ...changes });
}

describeEach('a new one is made once, and making it again answers the same', async ({ newOne, put }) => {
  const id = await newOne();

  const first = await put(id, 0n);
  const again = await put(id, 0n);

  expect(first).toMatchObject({ counts: { created: 1 }, versions: { [id]: 1n } });
  expect(again).toMatchObject({ counts: { created: 0, unchanged: 1 }, versions: { [id]: 1n } });
});

describeEach('what was to be new is not written over another', async ({ newOne, put, get }) => {
  const id = await newOne();
  await put(id, 0n);

  await expect(put(id, 0n, 'Other')).rejects.toMatchObject({ code: Code.AlreadyExists });
  expect((await get(id)).text).not.toBe('Other');
});

describeEach('a change of another version than the one that was read is refused', async ({ newOne, put, get }) => {
  const id = await newOne();
  await put(id);
  const { versions } = await put(id, 1n, 'Second');

  await expect(put(id, 1n, 'Third')).rejects.toMatchObject({ code: Code.Aborted });
  await expect(put(id, 3n, 'Third')).rejects.toMatchObject({ code: Code.Aborted });
  await expect(put(id, 1n, 'Third', true)).rejects.toMatchObject({ code: Code.Aborted });
  expect(versions).toEqual({ [id]: 2n });
  expect(await get(id)).toMatchObject({ text: 'Second', version: 2n });
});

describeEach('a change that is repeated finds itself', async ({ newOne, put, get }) => {
  const id = await newOne();
  await put(id);
  await put(id, 1n, 'Second');

  expect(await put(id, 1n, 'Second')).toMatchObject({ counts: { unchanged: 1 }, versions: { [id]: 2n } });
  expect((await get(id)).version).toBe(2n);
});

describeEach('of changes that read the same version, one wins', async ({ newOne, put, get }) => {
  const id = await newOne();
  await put(id);

  const texts = Array.from({ length: RACERS }, (_, index) => `Text ${index}`);
  const ended = await Promise.allSettled(texts.map((text) => put(id, 1n, text)));

  const winners = texts.filter((_, index) => ended[index]?.status === 'fulfilled');
  expect(winners).toHaveLength(1);
  expect(await get(id)).toMatchObject({ text: winners[0], version: 2n });
});

describeEach('without an expected version the last one wins', async ({ newOne, put, get }) => {
  const id = await newOne();
  await put(id);

  const texts = Array.from({ length: RACERS }, (_, index) => `Text ${index}`);
  await Promise.all(texts.map((text) => put(id, undefined, text)));

  expect((await get(id)).version).toBe(BigInt(RACERS + 1));
});

function describeEach(what: string, body: (noun: (typeof nouns)[keyof typeof nouns]) => Promise<void>): void {
  test.each(Object.entries(nouns))(`${what}: a %s`, (_name, noun) => body(noun));
}

test('what does not exist has no version but 0', async () => {
  await expect(nouns.term.put('NEVER', 1n)).rejects.toMatchObject({ code: Code.Aborted });
});

test('one that is not as expected keeps all of a batch from being taken', async () => {
  const [known, fresh] = [`CSE-${++made}`, `CSE-${++made}`];
  await nouns.course.put(known);

  const courses = [courseOf(fresh), courseOf(known, 'Other')];
  const put = system.putCourses({ courses, expectedVersions: { [fresh]: 0n, [known]: 7n } });

  await expect(put).rejects.toMatchObject({ code: Code.Aborted });
  await expect(nouns.course.get(fresh)).rejects.toMatchObject({ code: Code.NotFound });
});

test('a term may have any name that objects have', async () => {
  expect(await nouns.term.put('constructor')).toMatchObject({ versions: { constructor: 1n } });
  expect(await nouns.term.put('constructor', undefined, 'Spring')).toMatchObject({ counts: { changed: 1 } });
});

test('a version of what is not put, or below 0, is malformed', async () => {
  const courses = [courseOf('CSE-1')];
  const malformed: Record<string, bigint>[] = [{ 'CSE-2': 1n }, { 'CSE-1': -1n }];
  for (const expectedVersions of malformed) {
    await expect(system.putCourses({ courses, expectedVersions })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
  }
});

test('a section has a new version when its course changes', async () => {
  const id = await nouns.section.newOne();
  await nouns.section.put(id);
  await system.putCourses({ courses: [courseOf(`OF-${id.split('-')[0]}`, 'Other')] });

  await expect(nouns.section.put(id, 1n, 'B01')).rejects.toMatchObject({ code: Code.Aborted });
  expect((await nouns.section.get(id)).version).toBe(2n);
});

test('a section that was cancelled stays so, and may change in all else', async () => {
  const id = await nouns.section.newOne();
  const put = (code: string, status: SectionStatus) =>
    system.putSections({ sections: [sectionOf(id, code, { status })] });
  await put('A01', SectionStatus.OPEN);
  await put('A01', SectionStatus.CANCELLED);

  for (const status of [SectionStatus.OPEN, SectionStatus.CLOSED]) {
    expect(await put('A01', status).catch(refusalOf)).toMatchObject({ reason: 'section-cancelled' });
  }
  await put('B01', SectionStatus.CANCELLED);
  expect((await system.getSection({ sectionId: id })).section).toMatchObject({
    code: 'B01',
    status: SectionStatus.CANCELLED,
  });
});
