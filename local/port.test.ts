import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort, isFree } from './port.ts';

const PROCESSES = 8;
/** About as many as a platform needs. */
const PORTS = 32;

const choose = `
  import { freePort } from ${JSON.stringify(import.meta.resolve('./port.ts'))};
  const ports = [];
  for (let n = 0; n < ${PORTS}; n++) ports.push(await freePort());
  console.log(JSON.stringify(ports));`;

test('platforms that start at the same moment choose different ports', async () => {
  const choosing = Array.from({ length: PROCESSES }, () =>
    promisify(execFile)(process.execPath, ['--input-type=module-typescript', '--eval', choose]),
  );

  const chosen = (await Promise.all(choosing)).flatMap(({ stdout }): number[] => JSON.parse(stdout));

  expect(new Set(chosen).size).toBe(PROCESSES * PORTS);
});

test('a port where somebody listens is not chosen', async () => {
  const next = (await freePort()) + 1;
  const server = createServer();
  // Somebody else may have been faster there, which is as good.
  server.on('error', () => undefined);
  await new Promise((resolve) => server.once('listening', resolve).once('error', resolve).listen(next, '127.0.0.1'));
  try {
    expect(await isFree(next)).toBe(false);
    expect(await freePort()).not.toBe(next);
  } finally {
    server.close();
  }
});
