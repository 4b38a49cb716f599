import { Migration } from '@mikro-orm/migrations';

/** A step that was refused has nothing to undo: its undo, which the saga runs all the same, must not hide the refusal. */
export class ShowRefusedSteps20261121 extends Migration {
  override up(): void {
    this.addSql(`
      create or replace view registration_step_view as
      select registration_id, name,
        case kind when 'done' then done_at when 'refused' then refused_at else undone_at end as at,
        kind as status,
        array_position(array['reserveSeats', 'chargeTuition', 'reserveMaterials', 'recordEnrollment', 'confirmSeats',
          'releaseSeats', 'refundTuition', 'recordDrop'], name) as place
      from registration_steps left join registrations on id = registration_id
      cross join lateral (
        select case
          when refused_at is not null and done_at is null then 'refused'
          when undone_at is not null and (done_at is null or status is distinct from 'completed') then 'undone'
          else 'done'
        end as kind
      ) as outcome`);
  }
}
