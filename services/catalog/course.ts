import { create } from '@bufbuild/protobuf';
import { defineEntity, p } from '@mikro-orm/postgresql';
import { type Course as CourseMessage, CourseSchema } from '#proto/catalog/v1/catalog';
import { check, checkText } from './check.ts';

const CREDITS_MAX = 30;
const DESCRIPTION_CHARACTERS_MAX = 10_000;

const CourseEntity = defineEntity({
  name: 'Course',
  tableName: 'courses',
  properties: {
    id: p.string().primary(),
    subject: p.string(),
    code: p.string(),
    title: p.string(),
    description: p.text(),
    credits: p.integer(),
    version: p.integer(),
  },
});
export class Course extends CourseEntity.class {
  toMessage(): CourseMessage {
    const { id, subject, code, title, description, credits } = this;
    return create(CourseSchema, { id, subject, code, title, description, credits });
  }
}
CourseEntity.setClass(Course);

export function courseColumns({ id, subject, code, title, description, credits }: CourseMessage) {
  return { id, subject, code, title, description, credits };
}

/** @throws INVALID_ARGUMENT */
export function checkCourse(course: CourseMessage): void {
  const { id, subject, code, title, description, credits } = course;
  check(/^[A-Za-z0-9&.-]{1,40}$/.test(id), `course "${id}" must have an id of letters, digits and dashes`);
  checkText(`the subject of course ${id}`, subject);
  checkText(`the code of course ${id}`, code);
  checkText(`the title of course ${id}`, title);
  check(description.length <= DESCRIPTION_CHARACTERS_MAX, `the description of course ${id} is too long`);
  check(credits >= 0 && credits <= CREDITS_MAX, `course ${id} must count 0 to ${CREDITS_MAX} credits`);
}
