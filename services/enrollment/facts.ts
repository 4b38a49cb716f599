/** The catalog's word on sections, parsed once per version and kept: a batch names hundreds of sections, and they rarely change. */

import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import type { Query } from '#lib/database';
import { type Section as CatalogSection, type Course, SectionSchema } from '#proto/catalog/v1/catalog';
import type { SectionFacts } from './section.ts';
import { occurrencesOf } from './timetable.ts';

const CACHED_SECTIONS_MAX = 50_000;

/** As stored in `section_facts`. */
export interface StoredFacts {
  section: JsonValue;
  course: { code: string; credits: number };
}

export interface FactsKey {
  id: string;
  version: string;
}

export class FactsCache {
  readonly #sectionsMax: number;
  readonly #known = new Map<string, { version: string; facts: SectionFacts }>();

  /** @param sectionsMax how many are kept between questions. */
  constructor(sectionsMax = CACHED_SECTIONS_MAX) {
    this.#sectionsMax = sectionsMax;
  }

  /** Facts of every section named, at the version named. */
  async of(query: Query, keys: FactsKey[]): Promise<Map<string, SectionFacts>> {
    const facts = new Map<string, SectionFacts>();
    const missing: string[] = [];
    for (const { id, version } of keys) {
      const known = this.#known.get(id);
      if (known?.version === version) facts.set(id, known.facts);
      else missing.push(id);
    }
    if (missing.length > 0) for (const [id, loaded] of await this.#load(query, missing)) facts.set(id, loaded);
    return facts;
  }

  async #load(query: Query, ids: string[]): Promise<[string, SectionFacts][]> {
    const rows = await query<{ id: string; facts: StoredFacts; version: string }>(
      'select id, facts, version from section_facts where id = any($1)',
      [ids],
    );
    if (this.#known.size + rows.length > this.#sectionsMax) this.#known.clear();
    return rows.map(({ id, version, facts: stored }) => {
      const facts = parse(stored);
      this.#known.set(id, { version, facts });
      return [id, facts];
    });
  }
}

function parse({ section: json, course }: StoredFacts): SectionFacts {
  const section: CatalogSection = fromJson(SectionSchema, json, { ignoreUnknownFields: true });
  const { id, termId, courseId, fee, materials, capacity } = section;
  const { credits, code: courseCode } = course;
  const occurrences = occurrencesOf(section.meetings);
  return { id, termId, courseId, courseCode, credits, fee, materials, capacity, occurrences };
}

/** What is kept of a course beside its section. */
export function courseFacts(course: Course): StoredFacts['course'] {
  return { code: course.code, credits: course.credits };
}
