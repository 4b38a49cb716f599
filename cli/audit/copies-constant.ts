import { type Invariant, inSnapshots } from './platform.ts';

const EVERY_COPY_IS_SOMEWHERE = `
  select m.id, case
    when least(m.stock, m.reserved, m.issued) < 0
      then format('stock %s, reserved %s, issued %s', m.stock, m.reserved, m.issued)
    when m.stock + m.reserved + m.issued <> m.received
      then format('stock %s, reserved %s and issued %s are not the %s received', m.stock, m.reserved, m.issued, m.received)
    when m.reserved <> line.reserved then format('%s are reserved, and registrations have %s', m.reserved, line.reserved)
    when m.issued <> line.issued then format('%s are issued, and registrations have %s', m.issued, line.issued)
    end as sentence
  from materials m
  left join (
    select material_id, sum(quantity) filter (where state = 'reserved') as reserved,
      sum(quantity) filter (where state = 'issued') as issued
    from reservation_lines group by material_id
  ) l on l.material_id = m.id
  cross join lateral (select coalesce(l.reserved, 0) as reserved, coalesce(l.issued, 0) as issued) line`;

/** I9 */
export const copiesConstant: Invariant = {
  name: 'I9',
  sentence: 'Every copy received is in stock, reserved or issued, and whoever has one is known',
  look: (audited, tally) =>
    inSnapshots(audited, ['bookstore'], ({ bookstore }) => tally.look(bookstore, EVERY_COPY_IS_SOMEWHERE)),
};
