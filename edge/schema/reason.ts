/** Every reason for which a rule says no, and for which a registration is undone. */
import { Type } from 'typebox';

export const reasons = {
  'section-full': 'all seats are taken, or kept for those who wait',
  'waitlist-full': 'all seats are taken, and so is every place on the waitlist',
  'section-closed': 'the section is not open for registration',
  'already-enrolled': 'the student is in the section, or on its waitlist',
  'time-conflict': 'it meets at the same time as another section of the student',
  'credit-limit': 'the student would have more credits than the term allows',
  'not-enrolled': 'what is to be dropped is not the student’s, or not yet',
  'unknown-section': 'there is no such section',
  'all-or-nothing': 'another section of the request was refused, and the request was all or nothing',
  'swap-not-offered': 'adds and drops cannot be all or nothing together',
  'payment-declined': 'the payment provider declined the card',
  'materials-out-of-stock': 'the bookstore has too few copies left',
  'unknown-material': 'the bookstore does not sell a material of the section',
  'tuition-rate-missing': 'nobody has set what a credit costs in the term',
  'currency-mismatch': 'a price is in another currency than the term’s',
  'service-unavailable': 'a service was away for so long that the registration was undone',
  cancelled: 'the student cancelled the registration',
  confirmed: 'the seats were confirmed before they were to be given back',
  released: 'the seats were given back before they were confirmed',
  'charge-refunded': 'the registration was undone before it was charged',
  'materials-released': 'the registration was undone before its materials were reserved',
  'enrollment-withdrawn': 'the registration was undone before it was recorded',
  'registration-ended': 'the registration has ended, and nothing is left to cancel',
  'drop-in-progress': 'what is left of the registration is a drop, which cannot be cancelled',
  'registration-pending': 'the registration has not ended yet',
  'material-reserved': 'students wait for copies of the material',
  'unknown-course': 'a section names a course that does not exist',
  'unknown-term': 'a section names a term that does not exist',
  'section-cancelled': 'the section was cancelled: it does not open again, and who was in it is dropped and paid back',
};

export const Reason = Type.Unsafe<string>({
  $id: 'Reason',
  type: 'string',
  enum: Object.keys(reasons),
  description: Object.entries(reasons)
    .map(([reason, sentence]) => `- \`${reason}\`: ${sentence}`)
    .join('\n'),
});
