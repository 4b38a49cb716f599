import { create } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { EventSchema, FollowRequestSchema, FollowResponseSchema } from '#proto/eventlog/v1/service';
import { FileDescriptorResponseSchema } from '../gen/grpc/reflection/v1/reflection_pb.ts';
import { checkTexts } from './text.ts';

const invalid = (field: string) =>
  expect.objectContaining({ code: Code.InvalidArgument, rawMessage: expect.stringMatching(`^${field}: `) });

test('a text that cannot be kept is found in a field, in a list, and in a message of a list', () => {
  expect(() => checkTexts(create(EventSchema, { subject: 'a\0b' }))).toThrow(invalid('subject'));
  expect(() => checkTexts(create(FollowRequestSchema, { types: ['a', '\0'] }))).toThrow(invalid('types'));
  const events = [{ subject: 'a' }, { actor: '\0' }];
  expect(() => checkTexts(create(FollowResponseSchema, { events }))).toThrow(invalid('actor'));
});

test('a text may be as long as the longest that is meant, and no longer', () => {
  const fits = create(EventSchema, { json: 'x'.repeat(20_000) });
  expect(() => checkTexts(fits)).not.toThrow();
  fits.json += 'x';
  expect(() => checkTexts(fits)).toThrow(invalid('json'));
});

test('numbers, bytes and other characters may be whatever they are', () => {
  const at = { seconds: 0n, nanos: 0 };
  expect(() => checkTexts(create(EventSchema, { position: 1n, at, subject: '\u0001\n🎓' }))).not.toThrow();
  const bytes = [new Uint8Array(1_000_000)];
  expect(() => checkTexts(create(FileDescriptorResponseSchema, { fileDescriptorProto: bytes }))).not.toThrow();
});
