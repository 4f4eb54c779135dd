import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { z } from 'zod';
import { hasCode } from './fs-error.ts';
import { renameInto } from './rename-into.ts';

/** What a file was when its hash was taken. The inode tells a replaced file from the old one of the same size and time. */
const factsSchema = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  contentType: z.string(),
  bytes: z.number().int().nonnegative(),
  stamp: z.string(),
});
type Facts = z.infer<typeof factsSchema>;

const typesByExtension: Readonly<Record<string, string>> = {
  '.mp4': 'video/mp4',
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
  '.json': 'application/json',
};

/**
 * A cache of each file's SHA-256 and content type, in a tree of its own. It is never the truth: a file that does not look
 * as it did when its facts were taken (restored from a backup, a write cut short) is hashed again.
 */
export interface FsFacts {
  /** Notes the facts of a file that is about to be renamed to this key. */
  remember(key: string, path: string, known: { readonly sha256: string; readonly contentType: string }): Promise<void>;
  /** @throws the file system's error when there is no such file */
  of(key: string, path: string): Promise<Facts>;
  forget(key: string): Promise<void>;
}

/** Facts kept under a directory, created when first needed. */
export function createFsFacts(directory: string): FsFacts {
  async function save(key: string, facts: Facts): Promise<void> {
    const target = join(directory, key);
    const temporary = join(directory, `.${randomUUID()}`);
    await mkdir(directory, { recursive: true });
    try {
      await writeFile(temporary, JSON.stringify(facts));
      await renameInto(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
  return {
    async remember(key, path, known) {
      await save(key, { ...known, ...(await look(path)) });
    },
    async of(key, path) {
      const seen = await look(path);
      const facts = await read(join(directory, key));
      if (facts && facts.stamp === seen.stamp && facts.bytes === seen.bytes) return facts;
      const contentType = facts?.contentType ?? typesByExtension[extname(key)] ?? 'application/octet-stream';
      const fresh = { ...seen, sha256: await hashFile(path), contentType };
      // A read-only or full disk must not stop a file from being served; it is only hashed again next time.
      await save(key, fresh).catch(() => undefined);
      return fresh;
    },
    async forget(key) {
      await rm(join(directory, key), { force: true });
      for (let folder = dirname(key); folder !== '.'; folder = dirname(folder)) {
        const removed = await rmdir(join(directory, folder)).then(
          () => true,
          () => false,
        );
        if (!removed) return;
      }
    },
  };
}

async function look(path: string): Promise<Pick<Facts, 'bytes' | 'stamp'>> {
  const stats = await stat(path, { bigint: true });
  if (!stats.isFile()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
  return { bytes: Number(stats.size), stamp: `${stats.ino}-${stats.mtimeNs}` };
}

async function read(path: string): Promise<Facts | undefined> {
  try {
    return factsSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) return undefined;
    throw error;
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}
