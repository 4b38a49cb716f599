import { Migration } from '@mikro-orm/migrations';

export class CreateBilling20261121 extends Migration {
  override up(): void {
    this.#createPrices();
    this.#createCharges();
    this.#createLedger();
  }

  #createPrices(): void {
    this.addSql(`
      create table tuition_rates (
        term_id text primary key,
        per_credit bigint not null check (per_credit >= 0),
        currency text not null check (currency ~ '^[A-Z]{3}$'),
        refunds jsonb not null,
        time_zone text not null
      )`);
    this.addSql(`
      create table material_prices (
        material_id text primary key,
        price bigint not null check (price >= 0),
        currency text not null,
        is_removed boolean not null
      )`);
  }

  #createCharges(): void {
    this.addSql(`
      create table charges (
        registration_id uuid primary key,
        student_id text not null,
        term_id text not null,
        status text not null check (status in ('requested', 'charged', 'declined', 'refunded')),
        currency text not null,
        total bigint not null,
        refunded bigint not null default 0,
        payment_method text not null,
        decline_code text not null default '',
        requested_at timestamptz not null default now(),
        constraint refunded_is_covered check (refunded between 0 and total),
        constraint declined_has_a_code check (status <> 'declined' or decline_code <> '')
      )`);
    this.addSql(`
      create table charge_lines (
        registration_id uuid not null references charges,
        section_id text not null,
        line integer not null,
        tuition bigint not null check (tuition >= 0),
        fee bigint not null check (fee >= 0),
        materials bigint not null check (materials >= 0),
        primary key (registration_id, section_id)
      )`);
    // The key makes a section of a charge be given back by one drop at most.
    this.addSql(`
      create table drop_refunds (
        charge_id uuid not null,
        section_id text not null,
        drop_id uuid not null,
        percent integer not null check (percent between 0 and 100),
        tuition bigint not null check (tuition >= 0),
        fee bigint not null check (fee >= 0),
        materials bigint not null check (materials >= 0),
        status text not null check (status in ('requested', 'refunded', 'covered')),
        primary key (charge_id, section_id),
        foreign key (charge_id, section_id) references charge_lines
      )`);
    this.addSql('create index drop_refunds_by_drop on drop_refunds (drop_id)');
  }

  #createLedger(): void {
    this.addSql(`
      create table journal_entries (
        id bigint generated always as identity primary key,
        charge_id uuid not null references charges,
        cause text not null,
        at timestamptz not null default clock_timestamp(),
        unique (charge_id, cause)
      )`);
    this.addSql(`
      create table postings (
        id bigint generated always as identity primary key,
        entry_id bigint not null references journal_entries,
        account text not null,
        kind text not null,
        description text not null,
        amount bigint not null check (amount <> 0),
        currency text not null check (currency ~ '^[A-Z]{3}$')
      )`);
    this.addSql('create index postings_by_entry on postings (entry_id)');
    this.addSql('create index postings_by_account on postings (account, id)');
    this.addSql(`
      create function refuse_imbalance() returns trigger language plpgsql as $$
      declare
        unbalanced bigint;
      begin
        select p.entry_id into unbalanced from postings p
          where p.entry_id in (select entry_id from posted) group by p.entry_id, p.currency having sum(p.amount) <> 0 limit 1;
        if found then
          raise exception 'journal entry % does not balance', unbalanced using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    // One statement writes all of an entry's postings, so they are looked at once, and not once each.
    this.addSql(`
      create trigger postings_balance after insert on postings referencing new table as posted
      for each statement execute function refuse_imbalance()`);
    this.addSql(`
      create function refuse_change() returns trigger language plpgsql as $$
      begin
        raise exception 'the journal is only ever appended to' using errcode = 'restrict_violation';
      end $$`);
    for (const table of ['journal_entries', 'postings']) {
      this.addSql(`
        create trigger ${table}_stay before update or delete or truncate on ${table}
        for each statement execute function refuse_change()`);
    }
  }
}
