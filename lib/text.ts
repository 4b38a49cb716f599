/** What may stand in a text that somebody sends: an event that tells of it must fit into one message, and into Postgres's JSON. */
import { invalid } from './argument.ts';

/** The longest that is meant to be sent, a course's description, has half of it. */
const TEXT_LENGTH_MAX = 20_000;

/**
 * Looks at every text of a message, however deep.
 * @throws INVALID_ARGUMENT naming the field whose text is too long or has U+0000, which Postgres keeps in JSON but cannot read again.
 */
export function checkTexts(value: unknown, field = 'request'): void {
  if (typeof value === 'string') checkText(value, field);
  else if (Array.isArray(value)) for (const element of value) checkTexts(element, field);
  else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const [name, part] of Object.entries(value)) checkTexts(part, name);
  }
}

function checkText(text: string, field: string): void {
  if (text.length > TEXT_LENGTH_MAX) throw invalid(field, `must have at most ${TEXT_LENGTH_MAX} characters`);
  if (text.includes('\0')) throw invalid(field, 'must not have the character U+0000');
}
