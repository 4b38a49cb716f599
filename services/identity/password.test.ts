import { parseOptions } from '@node-rs/argon2';
import { expect, test } from 'vitest';
import { QueueFull } from '#lib/batcher';
import { openPasswords } from './password.ts';

const { signal } = new AbortController();

test('a password is kept as argon2id with the parameters OWASP asks for', async () => {
  const passwords = await openPasswords();

  const kept = await passwords.hash('correct horse', signal);

  expect(kept).toMatch(/^\$argon2id\$/);
  expect(parseOptions(kept)).toMatchObject({ memoryCost: 19_456, timeCost: 2, parallelism: 1 });
  const owner = { passwordHash: kept };
  expect(await passwords.prove(async () => owner, 'correct horse', signal)).toBe(owner);
  expect(await passwords.prove(async () => owner, 'correct house', signal)).toBeNull();
});

test('an account that nobody has costs a verification too, and is turned away as others are when too many wait', async () => {
  const passwords = await openPasswords(3);

  const answers = await Promise.allSettled(
    Array.from({ length: 10 }, () => passwords.prove(async () => null, 'guess', signal)),
  );

  expect(answers.filter(({ status }) => status === 'fulfilled')).toEqual(
    Array(3).fill({ status: 'fulfilled', value: null }),
  );
  for (const answer of answers.slice(3)) expect(answer).toMatchObject({ reason: expect.any(QueueFull) });
});

test('nothing is hashed for a caller who has gone', async () => {
  const passwords = await openPasswords();
  await expect(passwords.hash('correct horse', AbortSignal.abort())).rejects.toThrow('gone');
});

test('a password is the same however its letters were composed', async () => {
  const passwords = await openPasswords();
  const kept = await passwords.hash('u\u0308bergang', signal);
  const owner = { passwordHash: kept };
  expect(await passwords.prove(async () => owner, '\u00fcbergang', signal)).toBe(owner);
});

test('what is too long to be a password takes no turn', async () => {
  const passwords = await openPasswords(0);
  const find = async () => null;

  expect(await passwords.prove(find, 'x'.repeat(129), signal)).toBeNull();

  // The queue takes nobody: whoever may have a password is turned away.
  await expect(passwords.prove(find, '🎓'.repeat(128), signal)).rejects.toBeInstanceOf(QueueFull);
});
