/** Every view: the entities that readers use, and the projections that write them, in the order in which they apply. */
import { AccountEntryView, accountEntries } from './account.ts';
import { CourseView, courses } from './course.ts';
import { EnrollmentView, enrollments } from './enrollment.ts';
import { MaterialView, materials } from './material.ts';
import type { Projection } from './projection.ts';
import { charges, RegistrationView, registrations } from './registration.ts';
import { seats } from './seats.ts';
import { SectionView, sections } from './section.ts';
import { RegistrationStepView, steps } from './step.ts';
import { TermView, terms } from './term.ts';

export const entities = [
  TermView,
  CourseView,
  SectionView,
  RegistrationView,
  RegistrationStepView,
  EnrollmentView,
  AccountEntryView,
  MaterialView,
];

/** Sections repeat what courses say, so courses come first. */
export const projections: readonly Projection[] = [
  terms,
  courses,
  sections,
  seats,
  registrations,
  charges,
  ...steps,
  enrollments,
  accountEntries,
  materials,
];

/** What the projections write, and a rebuild empties. */
export const tables = [
  'terms',
  'courses',
  'sections',
  'section_seats',
  'registrations',
  'registration_charges',
  'registration_steps',
  'enrollments',
  'account_entries',
  'materials',
  'sources',
] as const;
