import { open, mkdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { pause } from '../kernel/clock.ts';

/** The embedded engine does not refuse a second process on its folder, and then corrupts it: this lock does. */
export interface DataDirectoryLock {
  /** True when the holder before died without letting go: what it had not yet flushed may be lost. */
  readonly unclean: boolean;
  release(): Promise<void>;
}

const holderSchema = z.object({ pid: z.int().positive(), started: z.string().nullable() });
type Holder = z.infer<typeof holderSchema>;

const lockName = 'server.lock';
/** Longer than anyone takes to remove a dead holder's file. */
const reapingMs = 10_000;

/**
 * Takes the folder for this process, creating it when missing. A lock whose process is dead is taken over.
 * @throws Error naming the folder and the process that holds it
 */
export async function lockDataDirectory(directory: string): Promise<DataDirectoryLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = path.join(directory, lockName);
  const mine: Holder = { pid: process.pid, started: await startOf(process.pid) };
  const deadline = performance.now() + 2 * reapingMs;
  let unclean = false;
  while (!(await createExclusively(file, JSON.stringify(mine)))) {
    const holder = await readHolder(file);
    if (holder !== null && (await isAlive(holder))) throw inUse(directory, holder.pid);
    if (performance.now() > deadline) throw new Error(`The lock file ${file} can neither be read nor removed.`);
    if (await reap(file)) unclean = true;
    else await pause(20);
  }
  return { unclean, release: () => release(file, mine) };
}

function inUse(directory: string, pid: number): Error {
  return new Error(
    `The data folder ${path.resolve(directory)} is in use by the server with process id ${pid}. ` +
      'Stop that server, or set DATA_DIR to another folder.',
  );
}

/** Removes a dead holder's file. Only one process at a time may: a slower one could remove the file of the next holder. */
async function reap(file: string): Promise<boolean> {
  const reaping = `${file}.reaping`;
  if (!(await createExclusively(reaping, ''))) {
    const since = await stat(reaping).catch(() => null);
    if (since && Date.now() - since.mtimeMs > reapingMs) await rm(reaping, { force: true });
    return false;
  }
  try {
    const holder = await readHolder(file);
    if (holder !== null && (await isAlive(holder))) return false;
    await rm(file, { force: true });
    return true;
  } finally {
    await rm(reaping, { force: true });
  }
}

async function release(file: string, mine: Holder): Promise<void> {
  const holder = await readHolder(file);
  if (holder?.pid === mine.pid && holder.started === mine.started) await rm(file, { force: true });
}

async function createExclusively(file: string, content: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Null when the file is gone, or was cut short by the death of its writer. */
async function readHolder(file: string): Promise<Holder | null> {
  for (let tries = 0; tries < 5; tries++) {
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text === null) return null;
    const holder = parseHolder(text);
    if (holder) return holder;
    // Between its creation and its content a file is empty; give a living writer time.
    await pause(20);
  }
  return null;
}

function parseHolder(text: string): Holder | null {
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** A process id is used again after some time, so where the system tells, the start time must be the same too. */
async function isAlive(holder: Holder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  const started = await startOf(holder.pid);
  return holder.started === null || started === null || started === holder.started;
}

/** Boot and start tick of a process (Linux), or null where /proc is missing or hidden. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const status = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in brackets, which may hold spaces; the start time is the 22nd.
    const start = status.slice(status.lastIndexOf(')') + 2).split(' ')[19];
    return start === undefined ? null : `${boot}:${start}`;
  } catch {
    return null;
  }
}
