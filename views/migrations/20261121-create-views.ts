import { Migration } from '@mikro-orm/migrations';

/** Each table is written from one service's events; what needs several is put together by a view when it is read. */
export class CreateViews20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create table terms (
        id text primary key,
        name text not null,
        time_zone text not null,
        starts_on text not null,
        ends_on text not null,
        credits_max integer not null,
        version bigint not null
      )`);
    this.addSql(`
      create table courses (
        id text primary key,
        subject text not null,
        code text not null,
        title text not null,
        description text not null,
        credits integer not null,
        sort_key text not null unique,
        search tsvector not null
      )`);
    this.addSql('create index courses_by_word on courses using gin (search) with (fastupdate = off)');
    this.createSections();
    this.createRegistrations();
    this.addSql(`
      create table account_entries (
        id text primary key,
        student_id text not null,
        registration_id text not null,
        term_id text not null,
        kind text not null,
        description text not null,
        amount bigint not null,
        currency text not null,
        at timestamptz not null
      )`);
    this.addSql('create index account_entries_by_student on account_entries (student_id, at, id)');
    this.addSql(`
      create table materials (
        id text primary key,
        name text not null,
        price bigint not null,
        currency text not null,
        stock integer not null,
        reserved integer not null,
        issued integer not null,
        version bigint not null,
        removed boolean not null
      )`);
    // Up to when all that a service did is in the views; moves with its events, and with its heartbeats between them.
    this.addSql('create table sources (source text primary key, as_of timestamptz not null)');
  }

  private createSections(): void {
    this.addSql(`
      create table sections (
        id text primary key,
        term_id text not null,
        course_id text not null,
        code text not null,
        instructors text[] not null,
        meetings jsonb not null,
        materials jsonb not null,
        fee bigint not null,
        currency text not null,
        status text not null,
        published_capacity integer not null,
        waitlist_capacity integer not null,
        days integer not null,
        starts_minute integer,
        ends_minute integer,
        own_sort_key text not null,
        own_search tsvector not null,
        version bigint not null,
        course_code text not null default '',
        course_title text not null default '',
        subject text not null default '',
        credits integer not null default 0,
        sort_key text not null default '',
        search tsvector not null default ''
      )`);
    this.addSql('create index sections_by_term on sections (term_id, sort_key)');
    this.addSql('create index sections_by_subject on sections (term_id, subject, sort_key)');
    this.addSql('create index sections_by_course on sections (course_id)');
    this.addSql('create index sections_by_word on sections using gin (search) with (fastupdate = off)');
    this.addSql(`
      create table section_seats (
        section_id text primary key,
        capacity integer not null,
        taken integer not null,
        waitlisted integer not null,
        version bigint not null,
        counted_at timestamptz
      ) with (fillfactor = 50)`);
    this.addSql(`
      create view section_view as
      select sections.*, coalesce(section_seats.capacity, published_capacity) as capacity, taken, waitlisted,
        section_seats.version as seats_version, counted_at as counts_at
      from sections left join section_seats on section_id = id`);
  }

  private createRegistrations(): void {
    this.addSql(`
      create table registrations (
        id uuid primary key,
        student_id text not null,
        status text not null,
        mode text not null,
        items jsonb not null,
        reason text not null,
        requested_at timestamptz not null,
        ended_at timestamptz,
        traceparent text not null
      )`);
    this.addSql('create index registrations_by_student on registrations (student_id, requested_at, id)');
    this.addSql('create index registrations_by_status on registrations (status, requested_at, id)');
    this.addSql(`
      create table registration_charges (
        registration_id uuid primary key,
        total bigint not null,
        refunded bigint not null,
        currency text not null
      )`);
    this.addSql(`
      create view registration_view as
      select registrations.*, total, refunded, currency
      from registrations left join registration_charges on registration_id = id`);
    this.addSql(`
      create table registration_steps (
        registration_id uuid not null,
        name text not null,
        done_at timestamptz,
        refused_at timestamptz,
        undone_at timestamptz,
        primary key (registration_id, name)
      )`);
    this.addSql(`
      create view registration_step_view as
      select registration_id, name,
        case kind when 'done' then done_at when 'refused' then refused_at else undone_at end as at,
        kind as status,
        array_position(array['reserveSeats', 'chargeTuition', 'reserveMaterials', 'recordEnrollment', 'confirmSeats',
          'releaseSeats', 'refundTuition', 'recordDrop'], name) as place
      from registration_steps left join registrations on id = registration_id
      cross join lateral (
        select case
          when undone_at is not null and (done_at is null or status is distinct from 'completed') then 'undone'
          when refused_at is not null then 'refused'
          else 'done'
        end as kind
      ) as outcome`);
    this.addSql(`
      create table enrollments (
        registration_id uuid not null,
        section_id text not null,
        student_id text not null,
        term_id text not null,
        outcome text not null,
        waitlist_number bigint not null,
        primary key (student_id, section_id, registration_id)
      )`);
    this.addSql(`
      create index enrollments_waiting on enrollments (section_id, waitlist_number) where outcome = 'waitlisted'`);
    this.addSql(`
      create view enrollment_view as
      select registration_id, section_id, student_id, term_id, outcome, waitlist_number,
        case when outcome = 'waitlisted' then (
          select count(*)::integer from enrollments as waiting
          where waiting.section_id = enrollments.section_id and waiting.outcome = 'waitlisted'
            and waiting.waitlist_number <= enrollments.waitlist_number
        ) end as waitlist_position
      from enrollments`);
  }
}
