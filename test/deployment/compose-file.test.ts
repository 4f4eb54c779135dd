import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { variables } from '../../packages/server/src/config-variables.ts';
import { missingPrograms } from '../servers/spawn.ts';
import { envFileWith, readCompose, repository, toMs, type ComposeProject } from './compose-project.ts';

const missing = missingPrograms('docker-compose');
const ours = ['migrate', 'api', 'worker', 'webhook', 'sandbox', 'make-bucket'];
const always = ['api', 'migrate', 'postgres', 'redis', 'webhook', 'worker'];
const secret = /PASSWORD|SECRET|API_KEY|ACCESS_KEY|PRIVATE_KEY|CDN_KEY$/;
const text = (path: string): Promise<string> => readFile(join(repository, path), 'utf8');

describe.skipIf(missing)(`docker-compose.yml${missing === null ? '' : ` (${missing})`}`, () => {
  let project: ComposeProject;
  beforeAll(async () => {
    project = await readCompose({ POSTGRES_PASSWORD: 'f00d' });
  });

  it('validates with the example of the env file, and names the password that is missing', async () => {
    expect(Object.keys(project.services)).toEqual(expect.arrayContaining([...always, ...ours]));
    await expect(readCompose({ POSTGRES_PASSWORD: '' })).rejects.toThrow(/set it in \.env/);
  });

  it('has the services, ports and replicas of the reference; the rest waits for its profile', () => {
    const { services } = project;
    const start = Object.keys(services).filter((name) => services[name]?.profiles === undefined);
    expect(start.toSorted()).toEqual(always);
    expect(services['api']?.ports).toEqual(['127.0.0.1:8000:8000/tcp']);
    expect(services['webhook']?.ports).toEqual(['127.0.0.1:8001:8001/tcp']);
    expect(services['webhook']?.command).toEqual(['callbacks']);
    expect(services['worker']?.deploy?.replicas).toBe(2);
    expect(services['redis']?.volumes).toEqual(['redis:/data:rw']);
    expect(services['redis']?.command?.join(' ')).toContain('--appendonly yes');
    expect(services['redis']?.command?.join(' ')).toContain('--maxmemory-policy noeviction');
  });

  it('gives our services no more rights than they need, and longer to stop than they take', () => {
    for (const name of ours) {
      const service = project.services[name];
      expect(service, name).toMatchObject({
        init: true,
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
      expect(toMs(service?.stop_grace_period ?? ''), name).toBeGreaterThan(variables.SHUTDOWN_GRACE.parse(undefined));
    }
  });

  it('keeps database, Redis and bucket in a network without a way out, and publishes none of them', () => {
    expect(project.networks['data']?.internal).toBe(true);
    for (const name of ['postgres', 'redis', 'storage']) {
      expect(Object.keys(project.services[name]?.networks ?? {}), name).toEqual(['data']);
      expect(project.services[name]?.ports, name).toBeUndefined();
    }
  });

  it('pins every image, limits every log, and checks the health of whatever stays', () => {
    for (const [name, { image, restart, healthcheck, build, logging }] of Object.entries(project.services)) {
      if (build === undefined) expect(image, name).toMatch(/:v?\d+\.\d+/);
      expect(logging?.options?.['max-size'], name).toBeDefined();
      if (restart !== 'no') expect(healthcheck?.test?.length, name).toBeGreaterThan(1);
    }
  });

  it('starts in order: the schema first, then the parts, the gateway last', () => {
    for (const name of ['api', 'worker', 'webhook']) {
      expect(project.services[name]?.depends_on, name).toEqual({
        migrate: { condition: 'service_completed_successfully' },
        postgres: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    }
    expect(project.services['migrate']?.depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    expect(project.services['gateway']?.depends_on).toMatchObject({ api: { condition: 'service_healthy' } });
  });

  /** Read by `migrate` and by Node. */
  const others = new Set(['DAILIES_API_KEY', 'NODE_OPTIONS']);

  it('sets only variables that Dailies knows, and gives the keys of Kling to the worker alone', () => {
    for (const name of ['api', 'worker', 'webhook', 'migrate']) {
      const names = Object.keys(project.services[name]?.environment ?? {});
      const unknown = names.filter((one) => !others.has(one) && !Object.hasOwn(variables, one));
      expect(unknown, name).toEqual([]);
      const keys = names.filter((one) => /^KLING_(API|ACCESS|SECRET)_KEY$/.test(one));
      expect(keys, name).toHaveLength(name === 'worker' ? 3 : 0);
    }
  });

  it('has no default for a secret, in the file or in the example', async () => {
    const file = await text('docker-compose.yml');
    for (const [, name = '', rest = ''] of file.matchAll(/\$\{(\w+)([^}]*)\}/g)) {
      if (secret.test(name)) expect(rest, name).toMatch(/^(:\?.+|:-)$/);
    }
    const example = await envFileWith({});
    for (const [, name = '', value] of example.matchAll(/^(\w+)=(.*)$/gm))
      if (secret.test(name)) expect(value, name).toBe('');
  });

  it('has an example that names only variables which the file reads, and those that everybody has to think of', async () => {
    const read = new Set([...(await text('docker-compose.yml')).matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name));
    const example = await text('deploy/compose.env.example');
    const listed = new Set([...example.matchAll(/^#?(\w+)=/gm)].map(([, name = '']) => name));
    expect([...listed].filter((name) => !read.has(name))).toEqual([]);
    for (const name of ['POSTGRES_PASSWORD', 'DAILIES_API_KEY', 'KLING_API_KEY', 'WEBHOOK_URL', 'S3_BUCKET']) {
      expect(listed).toContain(name);
    }
  });

  it('mounts only files that are there', async () => {
    const mounted = Object.values(project.services)
      .flatMap((service) => service.volumes ?? [])
      .map((volume) => volume.split(':')[0] ?? '')
      .filter((path) => path.startsWith(repository) && !path.endsWith('/tls'));
    expect(mounted.length).toBeGreaterThan(6);
    for (const path of mounted) await access(path);
  });
});

describe('Dockerfile', () => {
  let lines: readonly string[];
  const all = (instruction: string): string[] =>
    lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));
  beforeAll(async () => {
    const joined = (await text('Dockerfile')).replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '');
    lines = joined.split('\n').map((line) => line.trim());
  });

  it('runs as a user without rights, by a program that gets the signals', () => {
    expect(all('USER')).toEqual(['node']);
    for (const form of [...all('ENTRYPOINT'), ...all('CMD')])
      expect(() => JSON.parse(form) as unknown, form).not.toThrow();
    expect(all('ENTRYPOINT')).toHaveLength(1);
  });

  it('begins from pinned images of the Node that the project pins', async () => {
    const { devDependencies } = JSON.parse(await text('package.json')) as { devDependencies: { node: string } };
    expect(all('ARG')[0]).toBe(`NODE_IMAGE=node:${devDependencies.node}-bookworm-slim`);
    for (const stage of all('FROM')) expect(stage).toMatch(/^\$\{NODE_IMAGE\} AS \w+$/);
  });

  it('holds no secret, and only what runs', async () => {
    for (const line of [...all('ARG'), ...all('ENV')]) expect(line).not.toMatch(/KEY|SECRET|PASSWORD|TOKEN/);
    const runtime = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
    const copied = runtime.filter((line) => line.startsWith('COPY '));
    for (const line of copied)
      expect(line).toMatch(
        /^COPY (LICENSE|--from=(dependencies|build) \/source\/(node_modules|packages\/\w+\/(dist|bin|package\.json)) )/,
      );
    expect((await text('.dockerignore')).split('\n').find((line) => !line.startsWith('#'))).toBe('*');
  });

  it('copies the four packages, each with what it publishes', async () => {
    for (const name of ['server', 'sandbox', 'sdk', 'cli']) {
      const { files } = JSON.parse(await text(`packages/${name}/package.json`)) as { files: readonly string[] };
      for (const part of [...files, 'package.json']) {
        expect(all('COPY')).toContain(`--from=build /source/packages/${name}/${part} packages/${name}/${part}`);
      }
    }
  });

  it('has the health check of the compose file', async () => {
    const { services } = parse(await text('docker-compose.yml'), { merge: true }) as {
      services: Record<string, { healthcheck: { test: readonly string[] } }>;
    };
    const own = lines.find((line) => line.startsWith('HEALTHCHECK '))?.replace(/^.* CMD /, '') ?? '';
    expect(['CMD', ...(JSON.parse(own) as string[])]).toEqual(services['api']?.healthcheck.test);
  });
});
