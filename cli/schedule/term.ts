import { create } from '@bufbuild/protobuf';
import { type Term, TermSchema } from '#proto/catalog/v1/catalog';
import { PlatformError } from '../../local/failure.ts';

/** What an operator may say about the term; the files do not. */
export interface TermWishes {
  name?: string;
  timeZone?: string;
  startsOn?: string;
  endsOn?: string;
  creditsMax?: number;
}

const CREDITS_MAX_DEFAULT = 22;

/** What ids such as FA24 mean where nobody says otherwise. */
const seasons: Record<string, { name: string; starts: string; ends: string }> = {
  WI: { name: 'Winter', starts: '01-01', ends: '03-31' },
  SP: { name: 'Spring', starts: '01-15', ends: '06-15' },
  SU: { name: 'Summer', starts: '06-15', ends: '09-15' },
  FA: { name: 'Fall', starts: '08-15', ends: '12-31' },
};

/** The term to import into: as it is, with what is wished; a new one by its id. @throws PlatformError where its dates are unknown */
export function termFrom(id: string, wishes: TermWishes, existing: Term | undefined): Term {
  const known = existing ?? guessed(id);
  const startsOn = wishes.startsOn ?? known?.startsOn;
  const endsOn = wishes.endsOn ?? known?.endsOn;
  if (!startsOn || !endsOn) {
    throw new PlatformError(`"${id}" does not tell when the term is: say it with --starts-on and --ends-on.`);
  }
  return create(TermSchema, {
    id,
    name: wishes.name ?? known?.name ?? id,
    timeZone: wishes.timeZone ?? known?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    startsOn,
    endsOn,
    creditsMax: wishes.creditsMax ?? known?.creditsMax ?? CREDITS_MAX_DEFAULT,
  });
}

function guessed(id: string): Partial<Term> | undefined {
  const [, letters = '', digits] = /^([A-Z]{2})(\d{2})$/.exec(id) ?? [];
  const season = seasons[letters];
  if (!season) return undefined;
  const year = `20${digits}`;
  return { name: `${season.name} ${year}`, startsOn: `${year}-${season.starts}`, endsOn: `${year}-${season.ends}` };
}
