import { Migration } from '@mikro-orm/migrations';

export class CreateCatalog20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create table terms (
        id text primary key,
        name text not null,
        time_zone text not null,
        starts_on date not null,
        ends_on date not null check (ends_on >= starts_on),
        credits_max integer not null check (credits_max > 0),
        version integer not null check (version > 0)
      )`);
    this.addSql(`
      create table courses (
        id text primary key,
        subject text not null,
        code text not null,
        title text not null,
        description text not null,
        credits integer not null check (credits >= 0),
        version integer not null check (version > 0)
      )`);
    this.addSql(`
      create table sections (
        id text primary key,
        term_id text not null references terms,
        course_id text not null references courses,
        code text not null,
        instructors jsonb not null,
        meetings jsonb not null,
        capacity integer not null check (capacity >= 0),
        waitlist_capacity integer not null check (waitlist_capacity >= 0),
        fee_amount bigint check (fee_amount >= 0),
        fee_currency text,
        materials jsonb not null,
        status text not null check (status in ('open', 'closed', 'cancelled')),
        version integer not null check (version > 0),
        check ((fee_amount is null) = (fee_currency is null))
      )`);
    this.addSql('create index sections_by_course on sections (course_id)');
  }
}
