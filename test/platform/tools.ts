import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { inheritedEnvironment, peers } from '#lib/config';
import { readJwk, serviceTokens } from '#lib/token';
import { cacheFolder } from '../../local/cache.ts';
import { onPath } from '../../local/temporal-binary.ts';
import type { Campus } from './campus.ts';

const run = promisify(execFile);
const checkout = join(import.meta.dirname, '..', '..');
const buf = join(checkout, 'node_modules', '.bin', 'buf');
const modules = join(checkout, 'tools', 'grpcurl');
/** As pinned in tools/grpcurl/go.mod. */
const GRPCURL_VERSION = '1.9.4';
const BUILD_TIMEOUT_MS = 300_000;
const LIST_SERVERS = 'registrar.server.v1.ServerService/ListServers';
const HEALTH_CHECK = 'grpc.health.v1.Health/Check';

export function tools(running: () => Campus): void {
  test('buf curl lists what every process serves, and calls it', async () => {
    for (const { name, address } of servers(running())) {
      const url = `http://${address}`;
      const curl = async (...words: string[]) => (await run(buf, ['curl', '--http2-prior-knowledge', ...words])).stdout;

      expect((await curl('--list-methods', url)).split('\n'), name).toContain(LIST_SERVERS);
      const authorization = `authorization: Bearer ${await operatorToken(running())}`;
      const answer = JSON.parse(await curl('--header', authorization, `${url}/${LIST_SERVERS}`));
      expect(answer.servers, name).toContainEqual(expect.objectContaining({ service: name, address }));
      expect(JSON.parse(await curl('--data', '{}', `${url}/${HEALTH_CHECK}`)), name).toEqual({ status: 'SERVING' });
    }
  });

  test('grpcurl lists what every process serves, and calls it', async ({ skip }) => {
    const grpcurl = await grpcurlBinary();
    if ('missing' in grpcurl) return skip(grpcurl.missing);
    for (const { name, address } of servers(running())) {
      const ask = async (...words: string[]) => (await run(grpcurl.path, ['-plaintext', ...words])).stdout;

      expect((await ask(address, 'list')).split('\n'), name).toContain('registrar.server.v1.ServerService');
      const authorization = `authorization: Bearer ${await operatorToken(running())}`;
      const answer = JSON.parse(await ask('-H', authorization, address, LIST_SERVERS));
      expect(answer.servers, name).toContainEqual(expect.objectContaining({ service: name, address }));
      expect(JSON.parse(await ask(address, HEALTH_CHECK)), name).toEqual({ status: 'SERVING' });
    }
  });
}

/** Every instance of every process that speaks gRPC. */
function servers({ platform }: Campus) {
  return platform.record.parts.filter(({ name }) => peers.some((peer) => peer === name));
}

async function operatorToken({ platform }: Campus): Promise<string> {
  return serviceTokens(await readJwk(platform.record.serviceKeyFile), 'operator')();
}

type Binary = { path: string } | { missing: string };

let building: Promise<Binary> | undefined;

/** Builds grpcurl where there is none; takes a minute, once for a user. */
export function grpcurlBinary(): Promise<Binary> {
  building ??= findOrBuild();
  return building;
}

async function findOrBuild(): Promise<Binary> {
  const environment = inheritedEnvironment();
  const installed = onPath('grpcurl', environment);
  const folder = join(cacheFolder(environment), `grpcurl-${GRPCURL_VERSION}`);
  const cached = join(folder, 'grpcurl');
  if (installed) return { path: installed };
  if (existsSync(cached)) return { path: cached };
  const go = onPath('go', environment);
  if (!go) return { missing: 'there is neither grpcurl on PATH nor Go to build it' };
  // Another run may build at the same time: whoever ends last wins, with the same program.
  const unfinished = `${cached}.${process.pid}`;
  const words = ['-C', modules, 'build', '-o', unfinished, 'github.com/fullstorydev/grpcurl/cmd/grpcurl'];
  try {
    mkdirSync(folder, { recursive: true });
    await run(go, words, { env: { ...environment, CGO_ENABLED: '0' }, timeout: BUILD_TIMEOUT_MS });
    renameSync(unfinished, cached);
    return { path: cached };
  } catch (failure) {
    // An old Go, or no way to the modules.
    return { missing: `grpcurl is not on PATH, and Go could not build it: ${String(failure)}` };
  }
}
