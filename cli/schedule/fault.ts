import { PlatformError } from '../../local/failure.ts';

/** A row that was not taken, and why. */
export interface Fault {
  file: string;
  line: number;
  reason: string;
}

/** Thrown where a row cannot be taken; its message is the reason. */
export class BadRow extends Error {}

/** Thrown where a folder is no schedule at all: a file or a column is missing. */
export class NoSchedule extends PlatformError {
  constructor(fault: string) {
    super(`${fault}: docs/schedule-format.md says what a schedule consists of.`);
  }
}
