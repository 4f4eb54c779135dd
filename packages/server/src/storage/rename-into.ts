import { mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode } from './fs-error.ts';

/**
 * Renames a file into a folder that is created when it is missing. A delete beside it may remove the folder, still empty,
 * in between; then it is created again.
 */
export async function renameInto(from: string, to: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    await mkdir(dirname(to), { recursive: true });
    try {
      return await rename(from, to);
    } catch (error) {
      if (!hasCode(error, 'ENOENT') || tries >= 8) throw error;
    }
  }
}
