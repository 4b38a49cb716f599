import { create } from '@bufbuild/protobuf';
import { defineEntity, p } from '@mikro-orm/postgresql';
import { isTimeZone } from '#lib/argument';
import { type Term as TermMessage, TermSchema } from '#proto/catalog/v1/catalog';
import { check, checkDate, checkText } from './check.ts';

const TermEntity = defineEntity({
  name: 'Term',
  tableName: 'terms',
  properties: {
    id: p.string().primary(),
    name: p.string(),
    timeZone: p.string(),
    startsOn: p.date(),
    endsOn: p.date(),
    creditsMax: p.integer(),
    version: p.integer(),
  },
});
export class Term extends TermEntity.class {
  toMessage(): TermMessage {
    const { id, name, timeZone, startsOn, endsOn, creditsMax } = this;
    return create(TermSchema, { id, name, timeZone, startsOn, endsOn, creditsMax });
  }
}
TermEntity.setClass(Term);

export function termColumns({ id, name, timeZone, startsOn, endsOn, creditsMax }: TermMessage) {
  return { id, name, timeZone, startsOn, endsOn, creditsMax };
}

/** @throws INVALID_ARGUMENT */
export function checkTerm(term: TermMessage): void {
  const { id, name, timeZone, startsOn, endsOn, creditsMax } = term;
  check(/^[A-Za-z0-9]{1,16}$/.test(id), `term "${id}" must have an id of letters and digits`);
  checkText(`the name of term ${id}`, name);
  check(isTimeZone(timeZone), `term ${id} has no such time zone: "${timeZone}"`);
  checkDate(`the first day of term ${id}`, startsOn);
  checkDate(`the last day of term ${id}`, endsOn);
  check(startsOn <= endsOn, `term ${id} ends before it starts`);
  check(creditsMax > 0, `term ${id} must allow at least one credit`);
}
