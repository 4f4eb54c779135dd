import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(`${root}/${file}`, 'utf8')) as T; // our own file
}

const manifests = ['package.json', ...globSync('packages/*/package.json', { cwd: root })];
const lock = read<Lock>('package-lock.json');

test.for(manifests)('%s pins every dependency exactly', (file) => {
  const { dependencies, devDependencies } = read<Manifest>(file);
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
  );
  expect(loose).toEqual([]);
});

test('the lock file names no registry, so an install works behind any mirror', () => {
  const named = Object.entries(lock.packages).filter(([, { resolved, link }]) => resolved !== undefined && !link);
  expect(named.map(([name]) => name)).toEqual([]);
});

test('only the packages that the root manifest allows run a script at install time', () => {
  const scripted = Object.entries(lock.packages)
    .filter(([, entry]) => entry.hasInstallScript)
    .map(([name]) => name.replace(/^.*node_modules\//, ''));
  expect(scripted).toEqual(Object.keys(read<Manifest>('package.json').allowScripts ?? {}));
});

test("the lock file holds every platform's optional packages, without which a clean install is refused", () => {
  const locked = new Set(Object.keys(lock.packages).map((name) => name.replace(/^.*node_modules\//, '')));
  const missing = Object.values(lock.packages)
    .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
    .filter((name) => !locked.has(name));
  expect(missing).toEqual([]);
});
