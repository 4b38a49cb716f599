import { Code, ConnectError } from '@connectrpc/connect';

const textCharactersMax = 200;

/** @throws INVALID_ARGUMENT with the fault, which the caller sees. */
export function check(holds: boolean, fault: string): void {
  if (!holds) throw new ConnectError(fault, Code.InvalidArgument);
}

export function checkText(what: string, text: string): void {
  check(
    text.trim() !== '' && text.length <= textCharactersMax,
    `${what} must have 1 to ${textCharactersMax} characters`,
  );
}

/** May be empty. */
export function checkLength(what: string, text: string): void {
  check(text.length <= textCharactersMax, `${what} must have at most ${textCharactersMax} characters`);
}

/** ISO, and a day that exists. */
export function checkDate(what: string, date: string): void {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(date) ? new Date(`${date}T00:00:00Z`) : undefined;
  check(
    !!day && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date),
    `${what} is not a date: "${date}"`,
  );
}
