/** Who calls: put into the context by the auth interceptor, asked for by handlers. */
import { Code, ConnectError, createContextKey, type HandlerContext } from '@connectrpc/connect';

export type Role = 'student' | 'instructor' | 'staff' | 'system';

export interface Caller {
  /** Of the account, or `service:<name>`. */
  id: string;
  roles: readonly Role[];
}

const NOBODY: Caller = { id: '', roles: [] };

export const callerKey = createContextKey<Caller>(NOBODY, { description: 'caller' });

export function callerOf(context: HandlerContext): Caller {
  return context.values.get(callerKey);
}

/** @throws PERMISSION_DENIED unless the caller has one of the roles. */
export function requireRole(context: HandlerContext, ...roles: Role[]): Caller {
  const caller = callerOf(context);
  if (!hasRole(caller, ...roles)) throw new ConnectError(`only for ${roles.join(', ')}`, Code.PermissionDenied);
  return caller;
}

/** One's own things, or anybody's for these roles. @throws PERMISSION_DENIED */
export function requireSelfOr(context: HandlerContext, accountId: string, ...roles: Role[]): Caller {
  const caller = callerOf(context);
  if (!mayActFor(caller, accountId, ...roles))
    throw new ConnectError('this belongs to somebody else', Code.PermissionDenied);
  return caller;
}

export function mayActFor(caller: Caller, accountId: string, ...roles: Role[]): boolean {
  return (caller.id !== '' && caller.id === accountId) || hasRole(caller, ...roles);
}

export function hasRole(caller: Caller, ...roles: Role[]): boolean {
  return roles.some((role) => caller.roles.includes(role));
}
