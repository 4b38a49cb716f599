import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { Campus } from './campus.ts';
import { Http, outcomesOf, type Person } from './http.ts';

const CROWD = 50;

/** The race itself, whoever answers: everybody asks for one section at once. */
async function crowdAsks(http: Http, students: Person[], section: string): Promise<string[]> {
  const answers = await Promise.all(students.map((student) => http.register(student, { adds: [section] })));
  return answers.flatMap(outcomesOf).sort();
}

export function races(running: () => Campus): void {
  test('one seat goes to exactly one of fifty students who ask two instances at once', async () => {
    const campus = running();
    const section = await campus.section({ capacity: 1 });

    const outcomes = await crowdAsks(campus.http, await campus.students(CROWD), section);

    expect(outcomes).toEqual(['reserved', ...Array<string>(CROWD - 1).fill('section-full')]);
    const [seats] = await campus.rows('enrollment', 'select taken from sections where id = $1', [section]);
    expect(seats).toEqual({ taken: 1 });
  });

  test('the same crowd oversells a seat that is checked first and taken then: the race above is real', async () => {
    const campus = running();
    const naive = await startNaive(campus);
    try {
      // Even a server like this one is lucky now and then.
      const winners = await campus.until('a seat is sold twice', async () => {
        const outcomes = await crowdAsks(naive.http, await campus.students(CROWD), randomUUID());
        const reserved = outcomes.filter((outcome) => outcome === 'reserved').length;
        return reserved > 1 && reserved;
      });
      expect(winners).toBeGreaterThan(1);
    } finally {
      await naive.stop();
    }
  });

  test('a student in two tabs gets a section once', async () => {
    const campus = running();
    const section = await campus.section();
    const student = await campus.student();

    const tabs = await Promise.all([1, 2].map(() => campus.http.register(student, { adds: [section] })));

    expect(tabs.flatMap(outcomesOf).sort()).toEqual(['already-enrolled', 'reserved']);
    const [seats] = await campus.rows('enrollment', 'select taken from sections where id = $1', [section]);
    expect(seats).toEqual({ taken: 1 });
  });

  test('a registration sent fifty times at once is one registration with fifty equal answers', async () => {
    const campus = running();
    const [section = '', full = ''] = await Promise.all([campus.section(), campus.section({ capacity: 0 })]);
    const student = await campus.student();
    const wish = { id: randomUUID(), adds: [section, full] };

    const answers = await Promise.all(Array.from({ length: CROWD }, () => campus.http.register(student, wish)));

    for (const answer of answers) {
      expect([200, 202]).toContain(answer.status);
      // Who asks late may hear what the saga has made of it by then.
      expect(answer.body).toMatchObject({ id: wish.id, studentId: student.id });
      expect(outcomesOf(answer)[1]).toBe('section-full');
      expect(['reserved', 'enrolled']).toContain(outcomesOf(answer)[0]);
    }
    const registrations = await campus.rows('enrollment', 'select id from registrations where student_id = $1', [
      student.id,
    ]);
    expect(registrations).toEqual([{ id: wish.id }]);
    const decided = await campus.rows(
      'enrollment',
      "select from events where subject = $1 and type like '%.RegistrationDecided'",
      [wish.id],
    );
    expect(decided).toHaveLength(1);
    const [seats] = await campus.rows('enrollment', 'select taken from sections where id = $1', [section]);
    expect(seats).toEqual({ taken: 1 });
  });

  test('an id that was used with other content is turned down, and the first answer stands', async () => {
    const campus = running();
    const [first = '', second = ''] = await campus.sections(2);
    const student = await campus.student();
    const id = randomUUID();
    await campus.http.register(student, { id, adds: [first] });

    const again = await campus.http.register(student, { id, adds: [second] });

    expect(again).toMatchObject({ status: 422, body: { code: 'id-taken' } });
    const taken = await campus.rows('enrollment', 'select section_id from enrollments where registration_id = $1', [
      id,
    ]);
    expect(taken).toEqual([{ section_id: first }]);
  });
}

/** Sells the one seat of every section the way one would at first: look whether it is free, then take it. */
async function startNaive(campus: Campus): Promise<{ http: Http; stop(): Promise<void> }> {
  const pool = new pg.Pool({ connectionString: campus.platform.record.primaryUrl, max: CROWD });
  await pool.query('create table naive_seats (section_id text, student_id text)');
  async function outcomeOf(section: string, student: string): Promise<string> {
    const { rowCount } = await pool.query('select from naive_seats where section_id = $1', [section]);
    if (rowCount) return 'section-full';
    await pool.query('insert into naive_seats values ($1, $2)', [section, student]);
    return 'reserved';
  }
  const server = createServer(async (request, response) => {
    const { adds } = JSON.parse(await text(request));
    const { sectionId } = adds[0];
    const outcome = await outcomeOf(sectionId, String(request.headers.authorization));
    response.end(JSON.stringify({ items: [{ sectionId, outcome }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const http = new Http(`http://127.0.0.1:${port}`);
  return {
    http,
    stop: async () => {
      await http.close();
      await new Promise((resolve) => server.close(resolve));
      await pool.query('drop table naive_seats');
      await pool.end();
    },
  };
}
