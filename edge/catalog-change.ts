/** How staff change the catalog, whose calls put things whole: nobody writes over a change that they have not seen. */
import type { CallOptions, Client } from '@connectrpc/connect';
import type { FastifyReply } from 'fastify';
import type { Course, Section, Term } from '#proto/catalog/v1/catalog';
import type { CatalogService } from '#proto/catalog/v1/service';
import { ask, present } from './ask.ts';
import { changedMeanwhile, entityTag, isAborted, versionOf } from './entity-tag.ts';

/** One of those who change the same thing at once gets through in every round. */
const ROUNDS_MAX = 10;
const MUST_BE_NEW = 0n;

/** A thing as the catalog holds it. */
export interface Held<T> {
  content: T;
  version: bigint;
}

/** How the catalog is asked for a thing of one kind, and told of it. */
export interface Kind<T extends { id: string }> {
  get(id: string, options: CallOptions): Promise<Held<T>>;
  /** Answers the versions by id. */
  put(content: T, expectedVersions: Record<string, bigint>, options: CallOptions): Promise<Record<string, bigint>>;
}

export interface Kinds {
  terms: Kind<Term>;
  courses: Kind<Course>;
  sections: Kind<Section>;
}

export function kindsOf(catalog: Client<typeof CatalogService>): Kinds {
  return {
    terms: {
      get: async (termId, options) => {
        const { term, version } = await catalog.getTerm({ termId }, options);
        return { content: present('catalog', term), version };
      },
      put: async (term, expectedVersions, options) =>
        (await catalog.putTerms({ terms: [term], expectedVersions }, options)).versions,
    },
    courses: {
      get: async (courseId, options) => {
        const { course, version } = await catalog.getCourse({ courseId }, options);
        return { content: present('catalog', course), version };
      },
      put: async (course, expectedVersions, options) =>
        (await catalog.putCourses({ courses: [course], expectedVersions }, options)).versions,
    },
    sections: {
      get: async (sectionId, options) => {
        const { section, version } = await catalog.getSection({ sectionId }, options);
        return { content: present('catalog', section), version };
      },
      put: async (section, expectedVersions, options) =>
        (await catalog.putSections({ sections: [section], expectedVersions }, options)).versions,
    },
  };
}

/** Puts what must be new; the same again is answered as the first was. Its version becomes the reply's `ETag`. */
export async function createHeld<T extends { id: string }>(reply: FastifyReply, kind: Kind<T>, content: T): Promise<T> {
  const wanted = { content, version: MUST_BE_NEW };
  return tagged(reply, await ask(reply, 'catalog', (options) => putHeld(kind, wanted, options)));
}

/**
 * Puts what `change` makes of a thing, and makes it anew where somebody else was first. Its version becomes the reply's `ETag`.
 * @throws Problem 412 where it is not, or no longer, the version that If-Match names
 */
export async function changeHeld<T extends { id: string }>(
  reply: FastifyReply,
  kind: Kind<T>,
  { id, ifMatch, change }: { id: string; ifMatch: string | undefined; change: (content: T) => T },
): Promise<T> {
  const expected = versionOf(ifMatch);
  const changed = await ask(reply, 'catalog', async (options) => {
    for (let round = 1; ; round++) {
      const { content, version } = await kind.get(id, options);
      if (expected !== undefined && expected !== version) throw changedMeanwhile();
      try {
        return await putHeld(kind, { content: change(content), version }, options);
      } catch (error) {
        if (!isAborted(error) || round >= ROUNDS_MAX) throw error;
      }
    }
  });
  return tagged(reply, changed);
}

/** @param wanted with the version that it must have until now. */
async function putHeld<T extends { id: string }>(
  kind: Kind<T>,
  { content, version }: Held<T>,
  options: CallOptions,
): Promise<Held<T>> {
  const versions = await kind.put(content, { [content.id]: version }, options);
  return { content, version: present('catalog', versions[content.id]) };
}

function tagged<T>(reply: FastifyReply, { content, version }: Held<T>): T {
  reply.header('etag', entityTag(version));
  return content;
}
