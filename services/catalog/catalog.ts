/** The catalog service, put together. */
import type { ServiceDefinition } from '#lib/service';
import { CatalogService } from '#proto/catalog/v1/service';
import { Course } from './course.ts';
import { migrations } from './migrations/all.ts';
import { Section } from './section.ts';
import { catalogService } from './service.ts';
import { Term } from './term.ts';

export const catalog: ServiceDefinition = {
  name: 'catalog',
  entities: [Term, Course, Section],
  migrations,
  build: (parts) => ({
    services: [CatalogService],
    routes: (router) => router.service(CatalogService, catalogService(parts)),
  }),
};
