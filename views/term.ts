/** Terms, as catalog published them. */
import { defineEntity, p } from '@mikro-orm/postgresql';
import { type TermPublished, TermPublishedSchema } from '#proto/catalog/v1/events';
import type { Event } from '#proto/eventlog/v1/service';
import { factOf, keepNewest, type Projection, type Row, upsert } from './projection.ts';

const TermViewEntity = defineEntity({
  name: 'TermView',
  tableName: 'terms',
  properties: {
    id: p.string().primary(),
    name: p.string(),
    /** IANA name. */
    timeZone: p.string(),
    /** ISO dates, local. */
    startsOn: p.string(),
    endsOn: p.string(),
    creditsMax: p.integer(),
  },
});
export class TermView extends TermViewEntity.class {}
TermViewEntity.setClass(TermView);

export const terms: Projection = {
  source: 'catalog',
  async apply(events, query) {
    await upsert(query, { table: 'terms', key: ['id'], unlessOlder: true }, rowsOf(events));
  },
};

function rowsOf(events: Event[]): Row[] {
  const newest = new Map<string, TermPublished>();
  for (const event of events) {
    const fact = factOf(event, TermPublishedSchema);
    if (fact?.term) keepNewest(newest, fact.term.id, fact);
  }
  return [...newest.values()].map(({ term, version }) => ({
    id: term?.id,
    name: term?.name,
    time_zone: term?.timeZone,
    starts_on: term?.startsOn,
    ends_on: term?.endsOn,
    credits_max: term?.creditsMax,
    version,
  }));
}
