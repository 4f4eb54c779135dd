/** A disk of its own, small enough to fill: a tmpfs, which only root may mount. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram, tempFolder } from './spawn.ts';

const run = promisify(execFile);

export interface SmallDisk {
  readonly path: string;
  /** From now on nothing can be written to it. */
  forbidWrites(): Promise<void>;
  allowWrites(): Promise<void>;
  /** Takes the disk away, whatever uses it. */
  stop(): Promise<void>;
}

/** Why a disk cannot be mounted here; null when it can. */
export async function missingSmallDisk(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'only root may mount a disk';
  if (findProgram('mount') === null) return 'mount is not installed';
  // Root of a container may still not be allowed to.
  return startSmallDisk({ bytes: 64 * 1024 }).then(
    (disk) => disk.stop().then(() => null),
    () => 'mounting a disk is not allowed here',
  );
}

export async function startSmallDisk({ bytes }: { readonly bytes: number }): Promise<SmallDisk> {
  const folder = await tempFolder('disk');
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder.path]);
  } catch (error) {
    await folder.remove();
    throw error;
  }
  return {
    path: folder.path,
    forbidWrites: async () => void (await run('mount', ['-o', 'remount,ro', folder.path])),
    allowWrites: async () => void (await run('mount', ['-o', 'remount,rw', folder.path])),
    async stop() {
      await run('umount', ['--lazy', folder.path]);
      await folder.remove();
    },
  };
}
