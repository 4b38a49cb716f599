import { Migration } from '@mikro-orm/migrations';

export class CreateMaterials20261121 extends Migration {
  override up(): void {
    // No copy appears or disappears, whatever the code does: received is everything ever put on the shelf.
    this.addSql(`
      create table materials (
        id text primary key,
        name text not null,
        price_amount bigint not null check (price_amount >= 0),
        price_currency text not null check (price_currency ~ '^[A-Z]{3}$'),
        stock integer not null check (stock >= 0),
        reserved integer not null check (reserved >= 0),
        issued integer not null check (issued >= 0),
        received integer not null,
        version bigint not null,
        removed boolean not null,
        created_as text not null,
        check (stock + reserved + issued = received)
      )`);
    this.addSql(`
      create table reservations (
        registration_id uuid primary key,
        student_id text not null,
        state text not null check (state in ('expected', 'open', 'closed')),
        released_sections text[] not null
      )`);
    this.addSql(`
      create table reservation_lines (
        registration_id uuid not null references reservations,
        section_id text not null,
        material_id text not null references materials,
        quantity integer not null check (quantity > 0),
        state text not null check (state in ('reserved', 'released', 'issued')),
        primary key (registration_id, section_id, material_id)
      )`);
    this.addSql('create index reservation_lines_by_material on reservation_lines (material_id)');
  }
}
