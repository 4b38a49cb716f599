import { Type } from 'typebox';
import { closed, Id, line, ref, word } from './elements.ts';

const PASSWORD_LENGTH_MIN = 8;
const PASSWORD_LENGTH_MAX = 128;
const NAME_LENGTH_MAX = 200;
const EMAIL_LENGTH_MAX = 254;

export const roleWords = ['student', 'instructor', 'staff'] as const;

const Email = Type.String({ format: 'email', maxLength: EMAIL_LENGTH_MAX });

export const Account = Type.Object(
  {
    id: Id,
    email: Type.String(),
    name: Type.String(),
    roles: Type.Array(word(roleWords), { description: 'empty for an applicant' }),
  },
  { $id: 'Account' },
);

export const Session = Type.Object(
  {
    accessToken: Type.String({ description: 'for `Authorization: Bearer …`' }),
    expiresInSeconds: Type.Integer(),
    account: ref(Account),
  },
  { $id: 'Session' },
);

export const NewSession = closed(
  { email: Email, password: Type.String({ minLength: 1, maxLength: PASSWORD_LENGTH_MAX }) },
  { $id: 'NewSession' },
);

export const NewAccount = closed(
  {
    email: Email,
    name: line({ minLength: 1, maxLength: NAME_LENGTH_MAX }),
    password: Type.String({ minLength: PASSWORD_LENGTH_MIN, maxLength: PASSWORD_LENGTH_MAX }),
  },
  { $id: 'NewAccount' },
);

export const RoleGrant = closed({ role: word(roleWords) }, { $id: 'RoleGrant' });

export const sessionSchemas = [Account, Session, NewSession, NewAccount, RoleGrant];
