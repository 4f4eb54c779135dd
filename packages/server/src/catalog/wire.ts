import { carriersOf, generations, shotGrammar } from './generations.ts';
import type { ModelRow } from './model.ts';
import { getMode, getModel, hasSoundSwitch } from './models.ts';
import type { Generation, VideoRequest } from './request.ts';

/** The kind of resource pack that every video draws on; part of a slot pool's key. */
export const packType = 'video';

/** Ours in every create: how Kling and we recognise the task, and where Kling calls. */
export interface WireIds {
  readonly externalTaskId: string;
  readonly callbackUrl: string | null;
}

export interface WireForm {
  /** Below Kling's origin, with a leading slash. */
  readonly path: string;
  readonly body: Record<string, unknown>;
}

interface Source {
  readonly request: VideoRequest;
  readonly model: ModelRow;
  readonly ids: WireIds;
}

/** Wire field -> its value; undefined leaves the field out. */
type Fields = Readonly<Record<string, (source: Source) => unknown>>;

/** Kling 2A.0 and 2A.1; a dot leads into an object. Kling drops unknown fields silently, so only documented ones are sent. */
const standardFields: Fields = {
  prompt: ({ request }) => (request.shots ? shotGrammar(request.shots) : request.prompt),
  'settings.resolution': ({ request }) => getMode(request).resolution,
  'settings.aspect_ratio': ({ request }) => request.aspect_ratio,
  'settings.duration': ({ request }) => request.duration,
  'settings.audio': ({ request, model }) => (hasSoundSwitch(model) ? (request.sound ? 'native' : 'off') : undefined),
  // Kling's default is true; 3.0 Turbo has no such field and follows the grammar of the prompt
  'settings.multi_shot': ({ request, model }) =>
    model.multiShot.includes('intelligence') ? request.multi_shot !== null : undefined,
  'options.external_task_id': ({ ids }) => ids.externalTaskId,
  'options.callback_url': ({ ids }) => ids.callbackUrl ?? undefined,
  'options.watermark_info': ({ request }) => (request.watermark ? { enabled: true } : undefined),
};

/** Kling 2B.0 and 2B.1. The model is always named: Kling's default is a retired one. */
const legacyFields: Fields = {
  model_name: ({ model }) => model.wireNames.legacy,
  prompt: ({ request }) => request.prompt ?? undefined,
  negative_prompt: ({ request }) => request.negative_prompt ?? undefined,
  cfg_scale: ({ request }) => request.cfg_scale ?? undefined,
  mode: ({ request }) => request.mode ?? undefined,
  aspect_ratio: ({ request }) => request.aspect_ratio,
  duration: ({ request }) => String(request.duration),
  sound: ({ request, model }) => (hasSoundSwitch(model) ? (request.sound ? 'on' : 'off') : undefined),
  multi_shot: ({ request }) => (request.multi_shot === null ? undefined : true),
  shot_type: ({ request }) => request.multi_shot ?? undefined,
  multi_prompt: ({ request }) =>
    request.shots?.map(({ prompt, duration }, index) => ({ index: index + 1, prompt, duration: String(duration) })),
  'camera_control.type': ({ request }) => request.camera_control?.type,
  'camera_control.config': ({ request }) => request.camera_control?.config ?? undefined,
  watermark_info: ({ request }) => (request.watermark ? { enabled: true } : undefined),
  external_task_id: ({ ids }) => ids.externalTaskId,
  callback_url: ({ ids }) => ids.callbackUrl ?? undefined,
};

/**
 * The create call of a validated request in one API generation.
 * @throws Error when that generation does not take every input: ask `generationFor` first
 */
export function toWire(request: VideoRequest, generation: Generation, ids: WireIds): WireForm {
  if (!carriersOf(request).includes(generation))
    throw new Error(`${generation} cannot carry this ${request.model} request`);
  const source: Source = { request, model: getModel(request.model), ids };
  return generation === 'standard'
    ? { path: `/text-to-video/${source.model.wireNames.standard}`, body: build(standardFields, source) }
    : { path: '/v1/videos/text2video', body: build(legacyFields, source) };
}

/** Standard where it is available and takes every input of the request, else legacy; undefined when neither does. */
export function generationFor(request: VideoRequest, available: readonly Generation[]): Generation | undefined {
  const carriers = carriersOf(request);
  return generations.find((generation) => available.includes(generation) && carriers.includes(generation));
}

function build(fields: Fields, source: Source): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  const groups: Record<string, Record<string, unknown>> = {};
  for (const [path, read] of Object.entries(fields)) {
    const value = read(source);
    if (value === undefined) continue;
    const [name = path, part] = path.split('.');
    if (part === undefined) {
      body[name] = value;
      continue;
    }
    const group = (groups[name] ??= {});
    group[part] = value;
    body[name] = group;
  }
  return body;
}
