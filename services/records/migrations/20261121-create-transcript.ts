import { Migration } from '@mikro-orm/migrations';

export class CreateTranscript20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create table recordings (
        registration_id uuid primary key,
        student_id text not null,
        status text not null check (status in ('recorded', 'withdrawn'))
      )`);
    this.addSql(`
      create table transcript_entries (
        registration_id uuid not null references recordings,
        section_id text not null,
        student_id text not null,
        term_id text not null,
        course_id text not null,
        credits integer not null check (credits >= 0),
        status text not null check (status in ('enrolled', 'dropped', 'withdrawn')),
        recorded_at timestamptz not null,
        primary key (registration_id, section_id)
      )`);
    this.addSql('create index transcript_entries_by_student on transcript_entries (student_id, term_id, course_id)');
    // A transcript shows a section once, however many registrations tried.
    this.addSql(`
      create unique index transcript_entries_once on transcript_entries (student_id, section_id) where status = 'enrolled'`);
  }
}
