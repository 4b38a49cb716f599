/** What the worker bundles: every workflow by its type's name. */
export { drop } from './drop.ts';
export { enroll } from './enroll.ts';
