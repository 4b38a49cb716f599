/** Requests that no route sees, because their URL, their headers or their bytes cannot be read: answered as all others are. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';
import { bodyOf, sendProblem } from './problems.ts';
import { PROBLEM_TYPE } from './schema/elements.ts';
import { securityHeaders } from './security.ts';

/** For Fastify's `frameworkErrors`: no hook has run. */
export function answerUnreadableUrl(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(error, request, reply.headers(securityHeaders));
}

/** For Fastify's `clientErrorHandler`: there is no request, only a connection. */
export function answerUnreadableBytes(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const problem = problemOf(error.code);
  const body = JSON.stringify(bodyOf(problem));
  const headers = {
    ...securityHeaders,
    'content-type': PROBLEM_TYPE,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`, ...lines].join('\r\n');
  if (socket.writable) socket.write(`${head}\r\n\r\n${body}`);
  socket.destroy(error);
}

/** @param code of Node's HTTP server or its parser. */
function problemOf(code: string): Problem {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem(408, 'request-timeout', 'The request did not arrive.');
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem(431, 'headers-too-large', 'The headers are too large.');
  return new Problem(400, 'malformed-request', 'This is not HTTP.');
}
