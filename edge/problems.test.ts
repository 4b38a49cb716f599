import { Code, ConnectError } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { QueueFull } from '#lib/batcher';
import { Refusal, refusalToConnectError } from '#lib/refusal';
import { DependencyFailure } from './problem.ts';
import { toProblem } from './problems.ts';

const SECRET = 'select * from accounts at /srv/registrar/service.ts:12';

function answerTo(cause: unknown) {
  return toProblem(new DependencyFailure('billing', cause));
}

test.each([
  [Code.InvalidArgument, 400, 'malformed-request'],
  [Code.Unauthenticated, 401, 'not-logged-in'],
  [Code.PermissionDenied, 403, 'not-permitted'],
  [Code.NotFound, 404, 'not-found'],
  [Code.AlreadyExists, 422, 'id-taken'],
  [Code.Aborted, 503, 'changed-meanwhile'],
  [Code.ResourceExhausted, 503, 'billing-busy'],
  [Code.Unavailable, 503, 'billing-unavailable'],
  [Code.DeadlineExceeded, 503, 'billing-unavailable'],
  [Code.Canceled, 503, 'billing-unavailable'],
  [Code.Internal, 500, 'internal'],
  [Code.Unknown, 500, 'internal'],
  [Code.FailedPrecondition, 500, 'internal'],
])('a service’s status %i is answered with %i %s', (code, status, name) => {
  expect(answerTo(new ConnectError('a sentence', code))).toMatchObject({ status, code: name });
});

test('who is told to come back is told when', () => {
  for (const cause of [
    new QueueFull(2_000),
    new ConnectError('', Code.Unavailable),
    new ConnectError('', Code.ResourceExhausted),
    new ConnectError('', Code.Aborted),
  ])
    expect(answerTo(cause)).toMatchObject({ status: 503, options: { retryAfterSeconds: 1 } });
});

test('a rule that says no keeps its reason, its sentence and its remedy', () => {
  const refusal = refusalToConnectError(new Refusal('swap-not-offered', 'Not in one go.', 'Use two requests.'));

  expect(answerTo(refusal)).toMatchObject({
    status: 422,
    code: 'swap-not-offered',
    message: 'Not in one go.',
    options: { reason: 'swap-not-offered', remedy: 'Use two requests.' },
  });
  expect(answerTo(new Refusal('registration-ended', 'It ended.'))).toMatchObject({ status: 409 });
});

test('a service’s fault of a field is told by field', () => {
  const fault = new ConnectError('idempotency_key: must have at most 200 characters', Code.InvalidArgument);

  expect(answerTo(fault).options.fields).toEqual([
    { path: 'idempotencyKey', message: 'must have at most 200 characters' },
  ]);
});

test('what nobody meant for clients is not shown to them', () => {
  for (const code of [
    Code.Internal,
    Code.Unknown,
    Code.Unavailable,
    Code.NotFound,
    Code.PermissionDenied,
    Code.Aborted,
  ])
    expect(answerTo(new ConnectError(SECRET, code)).message).not.toContain('accounts');
  expect(toProblem(new Error(SECRET))).toMatchObject({ status: 500, message: expect.not.stringContaining('accounts') });
  expect(toProblem(SECRET)).toMatchObject({ status: 500, code: 'internal' });
});
