import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getModel } from '../catalog/models.ts';
import { framesOf, pictureOf } from '../catalog/shape.ts';
import type { Task } from '../engine/task.ts';
import type { ClipSpec } from '../media/render.ts';
import { renderClip, tinyClip } from '../media/render.ts';
import type { Settings } from '../options.ts';
import { seededInteger } from '../random.ts';

export interface Clip {
  readonly bytes: Uint8Array;
  /** Strong: changes with every byte. */
  readonly etag: string;
}

export interface Clips {
  /** The file of a task: rendered at the first request, then kept. */
  get(task: Task): Promise<Clip>;
  clear(): Promise<void>;
}

/** Out-of-range durations are billed as asked, but nobody needs an hour of pretend video. */
const renderedSecondsMax = 15;
const memoryBytesMax = 64 * 1024 * 1024;

/** Clips live in `<dataDir>/files`; the latest ones in memory too. Without a folder older ones are rendered again, byte for byte. */
export function createClips(settings: Settings): Clips {
  const folder = settings.dataDir === undefined ? undefined : join(settings.dataDir, 'files');
  const kept = new Map<string, Clip>();
  const rendering = new Map<string, Promise<Clip>>();
  let keptBytes = 0;

  function keep(id: string, clip: Clip): void {
    kept.set(id, clip);
    keptBytes += clip.bytes.length;
    for (const [oldest, { bytes }] of kept) {
      if (keptBytes <= memoryBytesMax || oldest === id) break;
      kept.delete(oldest);
      keptBytes -= bytes.length;
    }
  }

  async function load(task: Task): Promise<Clip> {
    const path = folder && join(folder, task.fileName);
    let bytes = path ? await readFile(path).catch(() => undefined) : undefined;
    if (!bytes) {
      const spec = specOf(task, settings);
      bytes = Buffer.from(await (settings.files === 'tiny' ? tinyClip(spec) : renderClip(spec)));
      if (folder && path) await store(folder, path, bytes);
    }
    const clip = { bytes, etag: `"${createHash('md5').update(bytes).digest('hex')}"` };
    keep(task.plan.id, clip);
    return clip;
  }

  return {
    async get(task) {
      const { id } = task.plan;
      const ready = kept.get(id);
      if (ready) return ready;
      const running = rendering.get(id) ?? load(task).finally(() => rendering.delete(id));
      rendering.set(id, running);
      return running;
    },
    async clear() {
      await Promise.allSettled(rendering.values());
      kept.clear();
      keptBytes = 0;
      if (folder) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A kill while writing must not leave half a file under the final name. */
async function store(folder: string, path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(`${path}.part`, bytes);
  await rename(`${path}.part`, path);
}

function specOf({ plan }: Task, settings: Settings): ClipSpec {
  const { order, id } = plan;
  const model = getModel(order.version);
  const seconds = Math.min(Math.max(order.durationSeconds, 1), renderedSecondsMax);
  return {
    prompt: order.prompt,
    ...pictureOf(model, order.level, order.aspectRatio, settings.squareSides),
    fps: model.fps,
    frames: framesOf(model, seconds),
    sound: order.sound,
    seed: seededInteger(settings.seed, 'picture', id),
  };
}
