import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Lies in a data folder whose database was moved away. */
const markName = 'moved.json';

/** Marks a data folder as moved. @param to where its content is now, without credentials */
export async function markMoved(directory: string, to: string): Promise<void> {
  const note = 'The database was copied to this address. Remove this file to use the copy in this folder again.';
  await writeFile(path.join(directory, markName), `${JSON.stringify({ to, note })}\n`);
}

/** The move did not happen. */
export async function unmarkMoved(directory: string): Promise<void> {
  await rm(path.join(directory, markName), { force: true });
}

/** Where the database of a data folder was moved to; null when it was not. */
export async function movedTo(directory: string): Promise<string | null> {
  const text = await readFile(path.join(directory, markName), 'utf8').catch(() => null);
  if (text === null) return null;
  const { to } = JSON.parse(text) as { to?: unknown }; // written above
  return String(to);
}

/**
 * A server on the old copy would buy everything in flight a second time.
 * @throws Error naming the folder and the mark
 */
export async function refuseMoved(directory: string): Promise<void> {
  const to = await movedTo(directory);
  if (to === null) return;
  throw new Error(
    `The database of ${path.resolve(directory)} was moved to ${to}: start with DATABASE_URL. Videos that were in flight go on there, ` +
      'so a server on both would pay for them twice. ' +
      `To use the old copy all the same, remove ${path.join(directory, markName)}.`,
  );
}
