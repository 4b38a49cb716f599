/** Sign up, and staff's say over roles. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { IdentityService } from '#proto/identity/v1/service';
import { accountOf } from '../account.ts';
import { ask, present } from '../ask.ts';
import { idempotencyKeyOf } from '../idempotency-key.ts';
import type { EdgeParts } from '../parts.ts';
import { answers, closed, createHeaders, Id, ref, word } from '../schema/elements.ts';
import { Account, NewAccount, RoleGrant, roleWords } from '../schema/session.ts';

export const accountRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients }) => {
  const identity = clients.of(IdentityService, 'identity');

  app.post(
    '/v1/accounts',
    {
      config: { access: 'public' },
      schema: {
        tags: ['accounts'],
        operationId: 'signUp',
        summary: 'Sign up; that makes an applicant, never a role',
        headers: createHeaders,
        body: ref(NewAccount),
        response: answers({ 201: ref(Account) }, 422),
      },
    },
    async (request, reply) => {
      const wanted = { ...request.body, idempotencyKey: idempotencyKeyOf(request) ?? '' };
      const { account } = await ask(reply, 'identity', (options) => identity.registerAccount(wanted, options));
      return reply.code(201).send(accountOf(present('identity', account)));
    },
  );

  app.post(
    '/v1/accounts/:id/roles',
    {
      config: { access: ['staff'] },
      schema: {
        tags: ['accounts'],
        operationId: 'grantRole',
        summary: 'Give an account a role; repeating it changes nothing',
        params: closed({ id: Id }),
        body: ref(RoleGrant),
        response: answers({ 200: ref(Account) }, 401, 403, 404),
      },
    },
    async ({ params, body }, reply) => {
      const grant = { accountId: params.id, role: body.role };
      const { account } = await ask(reply, 'identity', (options) => identity.grantRole(grant, options));
      return accountOf(present('identity', account));
    },
  );

  app.delete(
    '/v1/accounts/:id/roles/:role',
    {
      config: { access: ['staff'] },
      schema: {
        tags: ['accounts'],
        operationId: 'revokeRole',
        summary: 'Take a role from an account; repeating it changes nothing',
        params: closed({ id: Id, role: word(roleWords) }),
        response: answers({ 200: ref(Account) }, 401, 403, 404),
      },
    },
    async ({ params }, reply) => {
      const grant = { accountId: params.id, role: params.role };
      const { account } = await ask(reply, 'identity', (options) => identity.revokeRole(grant, options));
      return accountOf(present('identity', account));
    },
  );
};
