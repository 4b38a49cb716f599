import { Migration } from '@mikro-orm/migrations';

/**
 * A seat is left where enrollment would give one: below the lesser of what it counts and what the catalog wants by now (a capacity that
 * was lowered below what is taken stays raised there), and to nobody new while others wait.
 */
export class ShowSeatsLeft20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create or replace view section_view as
      select sections.*, least(section_seats.capacity, published_capacity) as capacity, taken, waitlisted,
        section_seats.version as seats_version, counted_at as counts_at,
        case
          when waitlisted > 0 then 0
          when taken is not null then greatest(0, least(section_seats.capacity, published_capacity) - taken)
        end as seats_left
      from sections left join section_seats on section_id = id`);
  }
}
