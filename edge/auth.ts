/** Who asks, and whether their role may. The services check again: the student's own right decides at the last hop. */
import { ConnectError } from '@connectrpc/connect';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller, Role } from '#lib/caller';
import type { TokenVerifier } from '#lib/token';
import { headerOf } from './header.ts';
import { DependencyFailure, notPermitted, Problem } from './problem.ts';

/** Who may use a route: everybody, everybody with an account, or these roles. */
export type Access = 'public' | 'account' | readonly Role[];

interface Identity {
  caller?: Caller;
  token?: string;
  failure?: unknown;
}

declare module 'fastify' {
  interface FastifyRequest {
    identity: Identity | null;
  }
  interface FastifyContextConfig {
    access?: Access;
  }
}

const BEARER = /^Bearer (\S+)$/i;

/**
 * First learns who asks, because limits count by account; then, after the limits and before the body is read, refuses who may not.
 * A route without `config.access` is for accounts.
 */
export function authenticate(app: FastifyInstance, verifier: TokenVerifier): void {
  app.decorateRequest('identity', null);
  app.addHook('onRequest', async (request) => {
    request.identity = await identify(headerOf(request, 'authorization'), verifier);
  });
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    const fault = faultOf(request);
    done(fault ?? null);
  });
}

async function identify(authorization: string | undefined, verifier: TokenVerifier): Promise<Identity> {
  if (authorization === undefined) return {};
  const token = BEARER.exec(authorization)?.[1];
  if (!token)
    return { failure: new Problem(401, 'invalid-token', 'The Authorization header must be `Bearer <token>`.') };
  try {
    return { token, caller: await verifier.verify(token) };
  } catch (failure) {
    // Without identity's keys nobody can tell whether a token is good.
    return { failure: failure instanceof ConnectError ? new DependencyFailure('identity', failure) : failure };
  }
}

function faultOf(request: FastifyRequest): Error | undefined {
  const access = request.routeOptions.config.access ?? 'account';
  if (access === 'public' || request.is404) return undefined;
  const { caller, failure } = request.identity ?? {};
  if (failure) return failure as Error; // what verify threw
  if (!caller) return new Problem(401, 'not-logged-in', 'Log in first: POST /v1/sessions.');
  if (access === 'account' || access.some((role) => caller.roles.includes(role))) return undefined;
  return notPermitted(`This is for ${access.join(' and ')} only.`);
}

/** The caller of a route that is not public. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = request.identity?.caller;
  if (!caller) throw new Error(`${request.routeOptions.url} asks who calls, but is public`);
  return caller;
}

/** The access token of a route's caller; undefined where there is none. */
export function tokenOf(request: FastifyRequest): string | undefined {
  return request.identity?.token;
}

export function isStaff(request: FastifyRequest): boolean {
  return request.identity?.caller?.roles.includes('staff') ?? false;
}

/** Whom a request is about: oneself, or for staff whom they name; undefined where staff name nobody. */
export function whose(request: FastifyRequest, named: string | undefined): string | undefined {
  const caller = callerOf(request);
  if (isStaff(request)) return named ?? (caller.roles.includes('student') ? caller.id : undefined);
  if (named !== undefined && named !== caller.id) throw notPermitted('Only staff act for other students.');
  return caller.id;
}
