/** Log in, stay logged in, log out. */
import { Code, ConnectError } from '@connectrpc/connect';
import cookie from '@fastify/cookie';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { IdentityService, type Session as SessionMessage } from '#proto/identity/v1/service';
import { accountOf } from '../account.ts';
import { ask, present } from '../ask.ts';
import type { EdgeParts } from '../parts.ts';
import { DependencyFailure, Problem } from '../problem.ts';
import { logInLimit } from '../rate-limit.ts';
import { answers, empty, ref } from '../schema/elements.ts';
import { NewSession, Session } from '../schema/session.ts';
import { clearRefreshToken, refreshTokenOf, setRefreshToken } from '../session-cookie.ts';

const config = { access: 'public' } as const;
/** A password takes its time to check, and a crowd's are checked one after the other. */
const LOG_IN_TIMEOUT_MS = 15_000;

export const sessionRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients }) => {
  const identity = clients.of(IdentityService, 'identity');
  const limitLogIns = logInLimit(app);
  await app.register(cookie);

  app.post(
    '/v1/sessions',
    {
      config,
      schema: {
        tags: ['sessions'],
        operationId: 'logIn',
        summary: 'Log in; the refresh token is in a cookie',
        body: ref(NewSession),
        response: answers({ 201: ref(Session) }, 401),
      },
    },
    async (request, reply) => {
      await limitLogIns(request);
      const { session } = await ask(
        reply,
        'identity',
        (options) => identity.logIn(request.body, options),
        LOG_IN_TIMEOUT_MS,
      );
      return begin(reply.code(201), present('identity', session));
    },
  );

  app.post(
    '/v1/sessions/refresh',
    {
      config,
      schema: {
        tags: ['sessions'],
        operationId: 'refreshSession',
        summary: 'A new access token for the cookie’s refresh token, which is rotated',
        response: answers({ 200: ref(Session) }, 401),
      },
    },
    async (request, reply) => {
      const refreshToken = refreshTokenOf(request);
      if (!refreshToken) throw new Problem(401, 'not-logged-in', 'There is no session to refresh. Log in.');
      try {
        const { session } = await ask(reply, 'identity', (options) =>
          identity.refreshSession({ refreshToken }, options),
        );
        return begin(reply, present('identity', session));
      } catch (error) {
        if (isUnauthenticated(error)) clearRefreshToken(reply);
        throw error;
      }
    },
  );

  app.delete(
    '/v1/sessions/current',
    {
      config,
      schema: {
        tags: ['sessions'],
        operationId: 'logOut',
        summary: 'End the session of the cookie; repeating it changes nothing',
        response: answers({ 204: empty('logged out') }),
      },
    },
    async (request, reply) => {
      const refreshToken = refreshTokenOf(request);
      if (refreshToken) await ask(reply, 'identity', (options) => identity.logOut({ refreshToken }, options));
      clearRefreshToken(reply);
      return reply.code(204).send(null);
    },
  );
};

function begin(reply: FastifyReply, session: SessionMessage) {
  setRefreshToken(reply, session.refreshToken);
  reply.header('cache-control', 'no-store');
  const { accessToken, expiresInSeconds } = session;
  return { accessToken, expiresInSeconds, account: accountOf(present('identity', session.account)) };
}

function isUnauthenticated(error: unknown): boolean {
  const cause = error instanceof DependencyFailure ? error.cause : undefined;
  return cause instanceof ConnectError && cause.code === Code.Unauthenticated;
}
