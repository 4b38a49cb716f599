import { Code, ConnectError } from '@connectrpc/connect';
import { isDate } from '#lib/argument';

const TEXT_CHARACTERS_MAX = 200;

/**
 * The fault is a sentence rather than a field and its rule, because it has to say of which of hundreds it speaks.
 * @throws INVALID_ARGUMENT with the fault, which the caller sees.
 */
export function check(holds: boolean, fault: string): void {
  if (!holds) throw new ConnectError(fault, Code.InvalidArgument);
}

export function checkText(what: string, text: string): void {
  check(
    text.trim() !== '' && text.length <= TEXT_CHARACTERS_MAX,
    `${what} must have 1 to ${TEXT_CHARACTERS_MAX} characters`,
  );
}

/** May be empty. */
export function checkLength(what: string, text: string): void {
  check(text.length <= TEXT_CHARACTERS_MAX, `${what} must have at most ${TEXT_CHARACTERS_MAX} characters`);
}

export function checkDate(what: string, date: string): void {
  check(isDate(date), `${what} is not a date: "${date}"`);
}
