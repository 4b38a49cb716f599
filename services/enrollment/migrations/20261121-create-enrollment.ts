import { Migration } from '@mikro-orm/migrations';

export class CreateEnrollment20261121 extends Migration {
  override up(): void {
    this.addSql('create table terms (id text primary key, credits_max integer not null, version bigint not null)');
    this.addSql('create table students (id text primary key)');
    // Narrow rows, since every seat taken writes one anew. What must never happen, the database refuses.
    this.addSql(`
      create table sections (
        id text primary key,
        term_id text not null,
        status text not null,
        capacity integer not null check (capacity >= 0),
        over_limit integer not null default 0 check (over_limit >= 0),
        taken integer not null default 0,
        waitlist_capacity integer not null check (waitlist_capacity >= 0),
        waitlisted integer not null default 0 check (waitlisted >= 0),
        waitlist_next bigint not null default 1,
        version bigint not null default 1,
        facts_version bigint not null,
        constraint never_oversold check (taken between 0 and capacity + over_limit)
      ) with (fillfactor = 50)`);
    // The catalog's word on a section, at the version that the section names.
    this.addSql('create table section_facts (id text primary key, facts jsonb not null, version bigint not null)');
    // The id is the client's idempotency key. What was decided stands in the log; `changed` is the whole registration since its saga
    // changed it, so that opening morning writes each decision once. No foreign keys between these three: one statement writes them all, and each
    // check would cost a look-up per seat in the worst minute of the year; the auditor looks instead.
    this.addSql(`
      create table registrations (
        id uuid primary key,
        student_id text not null,
        status text not null check (status in ('pending', 'completed', 'undone', 'refused', 'cancelled')),
        adds_state text not null check (adds_state in ('none', 'reserved', 'confirmed', 'released')),
        drops_state text not null check (drops_state in ('none', 'open', 'finished')),
        cancel_requested boolean not null default false,
        request_hash text not null,
        changed json,
        requested_at timestamptz not null,
        ended_at timestamptz
      )`);
    this.addSql(`
      create view registration_states as
      select r.*, coalesce(r.changed, (
        select e.data -> 'registration' from events e
        where e.subject = r.id::text and e.type = 'registrar.enrollment.v1.RegistrationDecided'
        order by e.position limit 1
      )) as body
      from registrations r`);
    this.addSql("create index registrations_pending on registrations (requested_at, id) where status = 'pending'");
    this.addSql(`
      create table enrollments (
        registration_id uuid not null,
        section_id text not null,
        student_id text not null,
        status text not null check (status in ('reserved', 'enrolled', 'waitlisted', 'released', 'dropped')),
        waitlist_number bigint
      )`);
    // The only index, since five rows a registration are written in the worst minute: whoever looks for live rows names the student.
    this.addSql(`
      create unique index one_live_enrollment on enrollments (student_id, section_id)
      where status in ('reserved', 'enrolled', 'waitlisted')`);
  }
}
