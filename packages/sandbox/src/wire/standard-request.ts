import type { Model } from '../catalog/models.ts';
import { findStandardModel } from '../catalog/models.ts';
import { aspectRatios, levelOf } from '../catalog/shape.ts';
import { Refusal } from './codes.ts';
import type { JsonObject } from './fields.ts';
import { field, invalidValue, isObject, limitLength, refuseUnknown } from './fields.ts';
import type { Order, OrderPolicy } from './order.ts';

const knownTop = new Set(['prompt', 'contents', 'settings', 'options']);
const knownSettings = new Set(['resolution', 'aspect_ratio', 'duration', 'audio', 'multi_shot', 'seed']);
const knownOptions = new Set(['callback_url', 'external_task_id', 'watermark_info']);

/** The validator lists 480p, the generator refuses it: such a task is accepted and fails. */
const listedButRefused = '480p';

/**
 * `POST /text-to-video/<model>`: shape, then model, then what this model can do. Unknown fields are dropped and durations
 * not range-checked, as on the live service, unless the sandbox is strict.
 * @throws Refusal
 */
export function parseStandardOrder(body: JsonObject, name: string, policy: OrderPolicy): Order {
  const prompt = readPrompt(body);
  const settings = field(body, 'settings', 'object') ?? {};
  const options = field(body, 'options', 'object') ?? {};
  const watermarkInfo = field(options, 'watermark_info', 'object', 'options.watermark_info') ?? {};
  const watermark = field(watermarkInfo, 'enabled', 'boolean', 'options.watermark_info.enabled') ?? false;
  const callbackUrl = field(options, 'callback_url', 'string', 'options.callback_url');
  const externalId = field(options, 'external_task_id', 'string', 'options.external_task_id');
  if (policy.strict) {
    refuseUnknown(body, knownTop);
    refuseUnknown(settings, knownSettings, 'settings.');
    refuseUnknown(options, knownOptions, 'options.');
  }
  const model = findStandardModel(name);
  if (!model) throw new Refusal(1201, 'model is not supported');
  limitLength('prompt', prompt, model.promptMax);
  return {
    generation: 'standard',
    version: model.version,
    modelName: name,
    prompt,
    ...readSettings(settings, model, policy),
    voice: false,
    watermark,
    ...(callbackUrl ? { callbackUrl } : {}),
    ...(externalId ? { externalId } : {}),
  };
}

/** `prompt`, or the prompt item of `contents[]`, which the service checks in the same way on every path. */
function readPrompt(body: JsonObject): string {
  const prompt = field(body, 'prompt', 'string');
  if (prompt === undefined && body['contents'] !== undefined) return readContents(body);
  if (!prompt?.trim()) throw new Refusal(1201, 'prompt cannot be empty');
  return prompt;
}

function readContents(body: JsonObject): string {
  const contents = field(body, 'contents', 'array') ?? [];
  if (contents.length === 0) throw new Refusal(1201, 'contents cannot be empty');
  const texts = contents.map((item, index) => {
    const type = isObject(item) ? item['type'] : undefined;
    if (!isObject(item) || type !== 'prompt') throw invalidValue(`contents[${index}].type`, type ?? '');
    const text = item['text'];
    if (typeof text !== 'string' || !text.trim()) {
      throw new Refusal(1201, "content item of type 'prompt' must have non-blank text");
    }
    return text;
  });
  return texts.join('\n');
}

function readSettings(settings: JsonObject, model: Model, policy: OrderPolicy) {
  const ratio = field(settings, 'aspect_ratio', 'string', 'settings.aspect_ratio') ?? '16:9';
  const aspectRatio = aspectRatios.find((each) => each === ratio);
  if (!aspectRatio) throw invalidValue('settings.aspect_ratio', ratio);
  const { level, doomed } = readLevel(settings, model);
  checkSeed(settings['seed']);
  const multiShot = field(settings, 'multi_shot', 'boolean', 'settings.multi_shot');
  if (multiShot !== undefined && policy.strict && !model.takesMultiShot) {
    throw new Refusal(1201, 'settings.multi_shot is not supported by the current model');
  }
  return {
    level,
    ...(doomed ? { doomed } : {}),
    durationSeconds: readDuration(settings['duration'], model, policy),
    aspectRatio,
    sound: readSound(settings, model, policy, level),
  };
}

function readLevel(settings: JsonObject, model: Model): Pick<Order, 'level' | 'doomed'> {
  const resolution = field(settings, 'resolution', 'string', 'settings.resolution') ?? '720p';
  if (resolution === listedButRefused) {
    return { level: 'std', doomed: `video resolution value '${listedButRefused}' is invalid` };
  }
  if (resolution !== '720p' && resolution !== '1080p' && resolution !== '4k') {
    throw invalidValue('settings.resolution', resolution);
  }
  const level = levelOf[resolution];
  if (!model.levels.includes(level)) throw invalidValue('settings.resolution', resolution);
  return { level };
}

/** An integer; numeric strings pass too. Out-of-range values pass unless strict, and are billed as asked. */
function readDuration(value: unknown, model: Model, policy: OrderPolicy): number {
  if (value === undefined || value === null) return 5;
  const seconds = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 0 || seconds > 9_999) {
    throw invalidValue('settings.duration', value);
  }
  if (policy.strict && !model.durations.includes(seconds)) throw invalidValue('settings.duration', value);
  return seconds;
}

function readSound(settings: JsonObject, model: Model, policy: OrderPolicy, level: Order['level']): boolean {
  if (model.sound === 'always') {
    if (policy.strict && settings['audio'] !== undefined) {
      throw new Refusal(1201, 'settings.audio is not a known parameter');
    }
    return true;
  }
  const audio = field(settings, 'audio', 'string', 'settings.audio') ?? 'off';
  if (audio !== 'native' && audio !== 'off' && audio !== 'original') throw invalidValue('settings.audio', audio);
  if (audio === 'off') return false;
  if (audio === 'original' || model.sound === 'none') {
    throw new Refusal(1201, `audio mode '${audio}' is not supported by the current model`);
  }
  if (model.sound === 'pro' && level !== 'pro') {
    throw new Refusal(1201, "audio mode 'native' is only supported with resolution '1080p' by the current model");
  }
  return true;
}

/** Parsed by the service though no page mentions it (kling-api.md 2A.0). */
function checkSeed(seed: unknown): void {
  if (seed === undefined || seed === null || Number.isSafeInteger(seed)) return;
  throw invalidValue('settings.seed', seed);
}
