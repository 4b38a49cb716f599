import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PlatformUnderTest, publishSections, startPlatform } from './platform-under-test.ts';

let platform: PlatformUnderTest;

beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

const anna = { id: 'anna', roles: ['student' as const] };

test('a student asks for a section and reads the registration back', async () => {
  const [sectionId] = await publishSections(platform, [{}]);
  const id = randomUUID();

  const put = await platform.ask({
    method: 'PUT',
    url: `/v1/registrations/${id}`,
    as: anna,
    payload: { adds: [{ sectionId }], mode: 'each' },
  });

  console.log(put.headers, put.body);
  expect(put.statusCode).toBe(202);
});
