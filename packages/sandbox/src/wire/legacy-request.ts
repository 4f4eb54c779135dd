import type { Level, Model } from '../catalog/models.ts';
import { findLegacyModel, otherModels } from '../catalog/models.ts';
import { aspectRatios } from '../catalog/shape.ts';
import { Refusal } from './codes.ts';
import type { JsonObject } from './fields.ts';
import { field, invalidValue, limitLength, refuseUnknown } from './fields.ts';
import { checkCameraControl, readShots } from './legacy-extras.ts';
import type { Order, OrderPolicy } from './order.ts';
import { refuseRetired } from './order.ts';

const knownFields = new Set([
  'model_name', 'model', 'prompt', 'negative_prompt', 'cfg_scale', 'mode', 'aspect_ratio', 'duration', 'sound',
  'voice_list', 'multi_shot', 'shot_type', 'multi_prompt', 'camera_control', 'watermark_info', 'callback_url',
  'external_task_id',
]); // prettier-ignore

const levels: readonly Level[] = ['std', 'pro', '4k'];

/**
 * `POST /v1/videos/text2video`: shape, then model, then what this model can do.
 * @throws Refusal
 */
export function parseLegacyOrder(body: JsonObject, policy: OrderPolicy): Order {
  const fields = readShape(body);
  if (policy.strict) refuseUnknown(body, knownFields);
  // The old field `model` is ignored, so a client that sends only that one gets V1 (Kling text-to-video page).
  const name = fields.modelName || 'kling-v1';
  const model = findModel(name, policy);
  const level = levelOf(fields, model, policy);
  const variant = `${name}/${level}/${fields.duration}`;
  checkCapabilities(fields, model, level, variant, policy);
  const { watermark, callbackUrl, externalId, prompt = '' } = fields;
  return {
    generation: 'legacy',
    version: model.version,
    modelName: name,
    prompt: fields.shots ? fields.shots.prompt : prompt,
    level,
    durationSeconds: Number(fields.duration),
    aspectRatio: fields.aspectRatio,
    sound: fields.sound,
    voice: fields.voices > 0,
    watermark,
    ...(callbackUrl ? { callbackUrl } : {}),
    ...(externalId ? { externalId } : {}),
  };
}

type Fields = ReturnType<typeof readShape>;

function readShape(body: JsonObject) {
  const watermarkInfo = field(body, 'watermark_info', 'object') ?? {};
  const aspectRatio = field(body, 'aspect_ratio', 'string') ?? '16:9';
  const sound = field(body, 'sound', 'string') ?? 'off';
  if (sound !== 'on' && sound !== 'off') throw invalidValue('sound', sound);
  const multiShot = field(body, 'multi_shot', 'boolean') ?? false;
  const fields = {
    modelName: field(body, 'model_name', 'string'),
    prompt: field(body, 'prompt', 'string'),
    cfgScale: field(body, 'cfg_scale', 'number'),
    mode: field(body, 'mode', 'string'),
    aspectRatio: aspectRatios.find((ratio) => ratio === aspectRatio),
    duration: field(body, 'duration', 'string') ?? '5',
    sound: sound === 'on',
    voices: (field(body, 'voice_list', 'array') ?? []).length,
    multiShot,
    cameraControl: field(body, 'camera_control', 'object'),
    watermark: field(watermarkInfo, 'enabled', 'boolean', 'watermark_info.enabled') ?? false,
    callbackUrl: field(body, 'callback_url', 'string'),
    externalId: field(body, 'external_task_id', 'string'),
  };
  const shots = multiShot ? readShots(body, fields.duration) : undefined;
  if (!shots && !fields.prompt?.trim()) throw new Refusal(1201, 'prompt cannot be empty');
  limitLength('prompt', fields.prompt, 2500);
  limitLength('negative_prompt', field(body, 'negative_prompt', 'string'), 2500);
  if (!fields.aspectRatio) throw invalidValue('aspect_ratio', aspectRatio);
  return { ...fields, aspectRatio: fields.aspectRatio, shots };
}

function findModel(name: string, policy: OrderPolicy): Model {
  const model = findLegacyModel(name);
  if (model) {
    refuseRetired(model, name, policy);
    return model;
  }
  if (otherModels.has(name)) throw new Refusal(1201, 'model is not supported');
  throw new Refusal(1203, `The model '${name}' does not exist`);
}

function levelOf({ mode }: Fields, model: Model, policy: OrderPolicy): Level {
  const level = levels.find((each) => each === (mode ?? 'std'));
  if (!level) throw invalidValue('mode', mode);
  if (!model.takesMode) {
    // Widely used clients send `mode` always, and the live service lets it pass.
    if (mode !== undefined && policy.strict) throw new Refusal(1201, `mode is not supported by the current model`);
    return model.levels[0] ?? 'std';
  }
  if (!model.levels.includes(level)) throw invalidValue('mode', mode);
  return level;
}

function checkCapabilities(fields: Fields, model: Model, level: Level, variant: string, policy: OrderPolicy): void {
  const refuse = (what: string): Refusal =>
    new Refusal(1201, `model/mode/duration(${variant}) is not supported with ${what}`);
  if (!model.durations.some((seconds) => String(seconds) === fields.duration))
    throw invalidValue('duration', fields.duration);
  if (fields.sound && (model.sound === 'none' || (model.sound === 'pro' && level !== 'pro'))) throw refuse('sound');
  if (fields.multiShot && !model.takesMultiShot) throw refuse('multi_shot');
  if (fields.voices > 2) throw new Refusal(1201, 'voice_list cannot exceed 2 in total');
  if (fields.voices > 0 && !fields.sound) throw new Refusal(1201, "voice_list is not supported with sound 'off'");
  if (fields.cfgScale !== undefined) {
    if (fields.cfgScale < 0 || fields.cfgScale > 1) throw invalidValue('cfg_scale', fields.cfgScale);
    if (policy.strict && !model.takesCfgScale) throw refuse('cfg_scale');
  }
  if (fields.cameraControl) {
    if (!model.takesCameraControl || level !== 'std' || fields.duration !== '5') throw refuse('camera_control');
    checkCameraControl(fields.cameraControl);
  }
}
