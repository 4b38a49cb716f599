/** Accounts, and what may stand in one. */
import { create } from '@bufbuild/protobuf';
import { defineEntity, p } from '@mikro-orm/postgresql';
import { invalid } from '#lib/argument';
import { type Account as AccountMessage, AccountSchema } from '#proto/identity/v1/account';

const EMAIL_LENGTH_MAX = 254;
const NAME_LENGTH_MAX = 200;
const ID_LENGTH_MAX = 100;
const PASSWORD_LENGTH_MIN = 8;
const PASSWORD_LENGTH_MAX = 128;
/** Only a confirmation mail could prove more. */
const EMAIL_SHAPE = /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+\.[^\s@\p{Cc}]+$/u;

/** In the order in which they are kept. Nobody can be given `system`: processes have it by their own key. */
const ROLES = ['student', 'instructor', 'staff'] as const;

const AccountEntity = defineEntity({
  name: 'Account',
  tableName: 'accounts',
  properties: {
    id: p.string().primary(),
    email: p.string(),
    name: p.string(),
    roles: p.array(),
    passwordHash: p.string(),
    /** Of the sign-up that made the account; null where it was made for its owner. */
    signUpKey: p.string().nullable(),
  },
});
export class Account extends AccountEntity.class {
  toMessage(): AccountMessage {
    const { id, email, name, roles } = this;
    return create(AccountSchema, { id, email, name, roles });
  }
}
AccountEntity.setClass(Account);

export function isEmail(text: string): boolean {
  return text.length <= EMAIL_LENGTH_MAX && EMAIL_SHAPE.test(text);
}

/** The e-mail as it is kept: in lower case, so that it is unique however it is typed. @throws INVALID_ARGUMENT */
export function emailOf(text: string): string {
  if (!isEmail(text)) throw invalid('email', `must be an e-mail address of at most ${EMAIL_LENGTH_MAX} characters`);
  return text.toLowerCase();
}

/** @throws INVALID_ARGUMENT */
export function nameOf(text: string): string {
  const name = text.trim();
  if (name === '' || name.length > NAME_LENGTH_MAX)
    throw invalid('name', `must have 1 to ${NAME_LENGTH_MAX} characters`);
  return name;
}

/** Whether a text is short enough to be somebody's password: a character takes one or two places. */
export function isPassword(text: string): boolean {
  return text.length <= 2 * PASSWORD_LENGTH_MAX && [...text].length <= PASSWORD_LENGTH_MAX;
}

/** @throws INVALID_ARGUMENT */
export function newPasswordOf(text: string): string {
  if (!isPassword(text) || [...text].length < PASSWORD_LENGTH_MIN)
    throw invalid('password', `must have ${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} characters`);
  return text;
}

/** @throws INVALID_ARGUMENT */
export function accountIdOf(text: string): string {
  if (text === '' || text.length > ID_LENGTH_MAX) throw invalid('id', `must have 1 to ${ID_LENGTH_MAX} characters`);
  return text;
}

/** Each role once, in one order, so that equal sets are equal lists. @throws INVALID_ARGUMENT */
export function rolesOf(words: readonly string[]): string[] {
  const unknown = words.find((word) => !ROLES.some((role) => role === word));
  if (unknown !== undefined) throw invalid('role', `must be one of ${ROLES.join(', ')}`);
  return ROLES.filter((role) => words.includes(role));
}
