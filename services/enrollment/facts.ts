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
  readonly #known = new Map<string, { version: string; facts: SectionFacts }>();

  /** Facts of every section named, at the version named. */
  async of(query: Query, keys: FactsKey[]): Promise<Map<string, SectionFacts>> {
    const missing = keys.filter(({ id, version }) => this.#known.get(id)?.version !== version).map(({ id }) => id);
    if (missing.length > 0) await this.#load(query, missing);
    return new Map(
      keys.flatMap(({ id }) => {
        const known = this.#known.get(id);
        return known ? [[id, known.facts] as const] : [];
      }),
    );
  }

  async #load(query: Query, ids: string[]): Promise<void> {
    const rows = await query<{ id: string; facts: StoredFacts; version: string }>(
      'select id, facts, version from section_facts where id = any($1)',
      [ids],
    );
    if (this.#known.size + rows.length > CACHED_SECTIONS_MAX) this.#known.clear();
    for (const { id, facts, version } of rows) this.#known.set(id, { version, facts: parse(facts) });
  }
}

function parse({ section: json, course }: StoredFacts): SectionFacts {
  const section: CatalogSection = fromJson(SectionSchema, json, { ignoreUnknownFields: true });
  const { id, termId, courseId, fee, materials, meetings, capacity } = section;
  const { credits, code: courseCode } = course;
  const occurrences = occurrencesOf(meetings);
  return { id, termId, courseId, courseCode, credits, fee, materials, meetings, capacity, occurrences };
}

/** What is kept of a course beside its section. */
export function courseFacts(course: Course): StoredFacts['course'] {
  return { code: course.code, credits: course.credits };
}
