import { create, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { defineEntity, p } from '@mikro-orm/postgresql';
import { isCurrency } from '#lib/argument';
import { fromWord, wordOf } from '#lib/words';
import {
  MaterialLineSchema,
  MeetingSchema,
  type Section as SectionMessage,
  SectionSchema,
  SectionStatus,
  SectionStatusSchema,
} from '#proto/catalog/v1/catalog';
import { check, checkLength, checkText } from './check.ts';
import { checkMeeting } from './meeting.ts';

const SEATS_MAX = 100_000;
const LIST_MAX = 50;
const QUANTITY_MAX = 100;
const statuses = new Set<SectionStatus>([SectionStatus.OPEN, SectionStatus.CLOSED, SectionStatus.CANCELLED]);

const SectionEntity = defineEntity({
  name: 'Section',
  tableName: 'sections',
  properties: {
    id: p.string().primary(),
    termId: p.string(),
    courseId: p.string(),
    code: p.string(),
    instructors: p.json<string[]>(),
    meetings: p.json<JsonValue[]>(),
    capacity: p.integer(),
    waitlistCapacity: p.integer(),
    feeAmount: p.bigint().nullable(),
    feeCurrency: p.string().nullable(),
    materials: p.json<JsonValue[]>(),
    status: p.enum(['open', 'closed', 'cancelled'] as const),
    version: p.integer(),
  },
});
export class Section extends SectionEntity.class {
  toMessage(): SectionMessage {
    const { id, termId, courseId, code, instructors, capacity, waitlistCapacity, feeAmount, feeCurrency } = this;
    return create(SectionSchema, {
      ...{ id, termId, courseId, code, instructors, capacity, waitlistCapacity },
      meetings: this.meetings.map((meeting) => fromJson(MeetingSchema, meeting)),
      ...(feeAmount != null && feeCurrency != null && { fee: { amount: BigInt(feeAmount), currency: feeCurrency } }),
      materials: this.materials.map((line) => fromJson(MaterialLineSchema, line)),
      status: fromWord<SectionStatus>(SectionStatusSchema, this.status),
    });
  }
}
SectionEntity.setClass(Section);

export function sectionColumns(section: SectionMessage) {
  const { id, termId, courseId, code, instructors, capacity, waitlistCapacity, fee } = section;
  return {
    ...{ id, termId, courseId, code, instructors, capacity, waitlistCapacity },
    meetings: section.meetings.map((meeting) => toJson(MeetingSchema, meeting)),
    feeAmount: fee ? fee.amount : null,
    feeCurrency: fee ? fee.currency : null,
    materials: section.materials.map((line) => toJson(MaterialLineSchema, line)),
    status: wordOf(SectionStatusSchema, section.status) as Section['status'], // checkSection refuses the unspecified one
  };
}

/** @throws INVALID_ARGUMENT */
export function checkSection(section: SectionMessage): void {
  const { id, termId, code, capacity, waitlistCapacity, fee, status } = section;
  const number = id.startsWith(`${termId}-`) ? id.slice(termId.length + 1) : '';
  check(/^[0-9A-Za-z]{1,16}$/.test(number), `section "${id}" must have the id <term>-<class number>`);
  checkText(`the code of section ${id}`, code);
  check(capacity >= 0 && capacity <= SEATS_MAX, `section ${id} cannot have ${capacity} seats`);
  check(
    waitlistCapacity >= 0 && waitlistCapacity <= SEATS_MAX,
    `section ${id} cannot have a waitlist of ${waitlistCapacity}`,
  );
  check(!fee || (fee.amount >= 0n && isCurrency(fee.currency)), `the fee of section ${id} is not money`);
  check(statuses.has(status), `section ${id} must have a status`);
  checkLists(section);
  for (const meeting of section.meetings) checkMeeting(id, meeting);
}

function checkLists({ id, instructors, meetings, materials }: SectionMessage): void {
  const longest = Math.max(instructors.length, meetings.length, materials.length);
  check(longest <= LIST_MAX, `section ${id} has more than ${LIST_MAX} instructors, meetings or materials`);
  for (const instructor of instructors) checkText(`an instructor of section ${id}`, instructor);
  for (const { materialId, quantity } of materials) {
    checkLength(`the id of a material of section ${id}`, materialId);
    check(
      materialId !== '' && quantity > 0 && quantity <= QUANTITY_MAX,
      `a material of section ${id} has no id or quantity`,
    );
  }
  const distinct = new Set(materials.map((line) => line.materialId));
  check(distinct.size === materials.length, `section ${id} names a material twice`);
}
