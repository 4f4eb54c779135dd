import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Lies in a data folder whose database was moved away. */
const markName = 'moved.json';

/** Marks a data folder as moved. @param to where its content is now, without credentials */
export async function markMoved(directory: string, to: string): Promise<void> {
  const note = 'The database was copied to this address. Remove this file to use the copy in this folder again.';
  await writeFile(path.join(directory, markName), `${JSON.stringify({ to, note })}\n`);
}

/**
 * A server on the old copy would buy everything in flight a second time.
 * @throws Error naming the folder and the mark
 */
export async function refuseMoved(directory: string): Promise<void> {
  const mark = path.join(directory, markName);
  const text = await readFile(mark, 'utf8').catch(() => null);
  if (text === null) return;
  const { to } = JSON.parse(text) as { to?: unknown }; // written above
  throw new Error(
    `The database of ${path.resolve(directory)} was moved to ${String(to)}: start with DATABASE_URL. ` +
      `Videos that were in flight go on there, so a server on both would pay for them twice; to use the old copy all the same, remove ${mark}.`,
  );
}
