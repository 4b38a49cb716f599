/** The refresh token's cookie: no script reads it, and it travels to the session routes only. */
import type { CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';

const NAME = 'registrar-refresh';
const options: CookieSerializeOptions = { httpOnly: true, secure: true, sameSite: 'strict', path: '/v1/sessions' };

/** @param refreshToken identity decides how long it is good; the cookie ends with the browser's session at the latest. */
export function setRefreshToken(reply: FastifyReply, refreshToken: string): void {
  reply.setCookie(NAME, refreshToken, options);
}

export function refreshTokenOf(request: FastifyRequest): string | undefined {
  return request.cookies[NAME];
}

export function clearRefreshToken(reply: FastifyReply): void {
  reply.clearCookie(NAME, options);
}
