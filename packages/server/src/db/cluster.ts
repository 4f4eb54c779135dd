import { stat } from 'node:fs/promises';
import path from 'node:path';

/** Whether a folder holds an embedded cluster; a cluster gets its name only when it is whole. */
export async function hasCluster(directory: string): Promise<boolean> {
  return stat(path.join(directory, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}
