/** For tests: what staff send to the catalog, and how. Used by test files only. */
import type { Person, PlatformUnderTest } from './platform.testing.ts';

export const staff: Person = { id: 'registrar', roles: ['staff'] };

let made = 0;

export const lecture = {
  kind: 'lecture',
  days: ['monday', 'friday'],
  startsAt: '10:00',
  endsAt: '10:50',
  room: 'Hall 1',
};
export const final = { kind: 'final', date: '2026-12-10', startsAt: '08:00', endsAt: '10:00' };
export const fee = { amount: 2500, currency: 'USD' };

export function newTerm(changes: object = {}) {
  const dates = { startsOn: '2026-08-24', endsOn: '2099-12-11' };
  return { id: `NEW${++made}`, name: 'Fall', timeZone: 'America/Chicago', ...dates, creditsMax: 18, ...changes };
}

export function newCourse(changes: object = {}) {
  return { id: `CSE-${++made}`, subject: 'CSE', code: `CSE ${made}`, title: 'Compilers', credits: 4, ...changes };
}

export function newSection({ term, courseId }: { term: string; courseId: string }, changes: object = {}) {
  return { id: `${term}-${++made}`, term, courseId, code: 'A01', capacity: 30, ...changes };
}

/** As staff; each answers what the edge does. */
export function changesOf(platform: () => PlatformUnderTest) {
  const post = (url: string, payload: object) => platform().ask({ method: 'POST', url, payload, as: staff });
  const patch = (url: string, payload: object, ifMatch?: string) =>
    platform().ask({ method: 'PATCH', url, payload, as: staff, ...(ifMatch && { headers: { 'if-match': ifMatch } }) });
  /** A term with a course, and what a section of them names. */
  const published = async () => {
    const term = newTerm();
    const course = newCourse();
    await post('/v1/terms', term);
    await post('/v1/courses', course);
    return { term: term.id, courseId: course.id };
  };
  const publishedSection = async (changes: object = {}) => {
    const answer = await post('/v1/sections', newSection(await published(), changes));
    const { id } = answer.json<{ id: string }>();
    return { id, url: String(answer.headers.location), etag: String(answer.headers.etag) };
  };
  /** A read that shows what the answer told. */
  const readAfter = (answer: { headers: Record<string, unknown> }, url = String(answer.headers.location)) =>
    platform().ask({ url, headers: { 'consistency-token': String(answer.headers['consistency-token']) } });
  return { post, patch, published, publishedSection, readAfter };
}
