/**
 * Which folder may import which. The order of the steps is the order of the dependencies: a folder imports only from
 * steps below its own, so a change reaches upwards only, and every area can be read without its callers.
 */
export const steps: readonly (readonly string[])[] = [
  ['kernel'],
  ['db', 'monitoring', 'catalog', 'redis'],
  ['queue', 'kling', 'storage', 'cdn', 'notifications', 'budget'],
  ['scheduling'],
  ['videos'],
  ['api', 'worker', 'callbacks', 'config'],
  ['compose'],
];

/** Who may import a package in `server/src`, even its types: beginnings of paths from there. */
export const packageOwners: Readonly<Record<string, readonly string[]>> = {
  fastify: ['api/', 'callbacks/'],
  '@fastify/swagger': ['api/'],
  'fastify-type-provider-zod': ['api/'],
  // Statements are written from the ledger upwards; the HTTP edge never sees SQL.
  kysely: ['db/', 'queue/', 'budget/', 'scheduling/', 'videos/', 'worker/', 'compose'],
  '@electric-sql/pglite': ['db/', 'queue/notifications.ts'],
  pg: ['db/', 'queue/notifications.ts'],
  'pg-boss': ['queue/postgres.ts'],
  ioredis: ['redis/'],
  bullmq: ['queue/redis'],
  '@aws-sdk/client-sqs': ['queue/sqs'],
  '@aws-sdk/client-s3': ['storage/s3'],
  '@aws-sdk/s3-request-presigner': ['storage/s3'],
  '@aws-sdk/cloudfront-signer': ['cdn/cloudfront.ts'],
  '@google-cloud/pubsub': ['queue/pubsub'],
  '@google-cloud/storage': ['storage/gcs'],
  'prom-client': ['monitoring/'],
  undici: ['kling/transport.ts', 'storage/', 'notifications/'],
  jose: ['kling/jwt.ts'],
  pino: ['monitoring/'],
  zod: [''],
};

const testFile = /\.(test|test-d|contract|testing)\.ts$/;

export interface Import {
  readonly specifier: string;
  /** How it is imported: a type only, when the file is loaded, or when the statement runs. */
  readonly kind: 'type' | 'static' | 'lazy';
}

/** The imports of a formatted source: every statement begins at a line's start, as oxfmt leaves it. */
export function importsOf(source: string): Import[] {
  const statements = source.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?'([^']+)'/gm);
  const lazy = source.matchAll(/\bimport\(\s*'([^']+)'/g);
  return [
    ...[...statements].map(([, type, specifier = '']): Import => ({
      specifier,
      kind: type === undefined ? 'static' : 'type',
    })),
    ...[...lazy].map(([, specifier = '']): Import => ({ specifier, kind: 'lazy' })),
  ];
}

/** What is wrong with one import; undefined when it is allowed. `file` is a path from the root, with `/`. */
export function importMistake(file: string, { specifier, kind }: Import): string | undefined {
  const [, name = '', folder, ...rest] = file.split('/');
  if (folder !== 'src' || testFile.test(file)) return undefined;
  const target = specifier.startsWith('.') ? resolvePath(file, specifier) : undefined;
  if (target !== undefined && !target.startsWith(`packages/${name}/src/`)) {
    return `leaves its package: import what the other package exports`;
  }
  if (kind === 'static' && target !== undefined && isLazy(target.slice(`packages/${name}/src/`.length))) {
    return 'loads the sandbox, which most starts do not need: import it lazily';
  }
  switch (name) {
    case 'server':
      return target === undefined
        ? serverPackageMistake(rest.join('/'), specifier, kind)
        : serverDirectionMistake(rest.join('/'), target.slice('packages/server/src/'.length));
    case 'sandbox':
      return specifier.startsWith('@dailies/') || specifier === 'dailies'
        ? 'the sandbox plays the outside world and imports nothing of ours'
        : undefined;
    case 'sdk':
      return target === undefined ? 'the SDK runs in browsers and has no dependencies' : undefined;
    case 'cli':
      return ['@dailies/server', '@dailies/sandbox'].includes(specifier) && kind === 'static'
        ? 'client verbs go through the SDK; verbs that need the server or the sandbox load it lazily'
        : undefined;
    default:
      return undefined;
  }
}

function serverPackageMistake(file: string, specifier: string, kind: Import['kind']): string | undefined {
  if (specifier.startsWith('node:')) return undefined;
  if (specifier === '@dailies/sandbox' && areaOf(file) === 'compose' && (kind !== 'static' || isLazy(file)))
    return undefined;
  if (specifier.startsWith('@dailies/')) return 'of our packages, only the composition loads the sandbox, lazily';
  const owner = Object.keys(packageOwners).find((name) => specifier === name || specifier.startsWith(`${name}/`));
  if (owner === undefined) return 'name in scripts/import-rules.ts who may import this package';
  const places = packageOwners[owner] ?? [];
  return places.some((place) => file.startsWith(place)) ? undefined : `only ${places.join(', ')} may import ${owner}`;
}

function serverDirectionMistake(from: string, to: string): string | undefined {
  const [source, target] = [areaOf(from), areaOf(to)];
  if (source === target || source === 'entry') return undefined;
  const [sourceStep, targetStep] = [stepOf(source), stepOf(target)];
  if (sourceStep === -1) return `name the step of ${source} in scripts/import-rules.ts`;
  if (target !== 'entry' && targetStep < sourceStep) return undefined;
  return targetStep === sourceStep
    ? `${source} and ${target} are siblings and do not import each other`
    : `${source} is below ${target}`;
}

/** Files that exist to be loaded only when the sandbox is. */
function isLazy(file: string): boolean {
  return file.startsWith('sandbox-');
}

function stepOf(area: string): number {
  return steps.findIndex((step) => step.includes(area));
}

/** A folder is its area; a file beside the folders is the configuration, a part of the composition, or what starts it. */
function areaOf(file: string): string {
  const [first = '', ...rest] = file.split('/');
  if (rest.length > 0) return first;
  if (first === 'main.ts' || first === 'index.ts') return 'entry';
  return /^config\b/.test(first) ? 'config' : 'compose';
}

function resolvePath(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}
