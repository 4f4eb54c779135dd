import { Refusal } from './codes.ts';
import type { JsonObject } from './fields.ts';
import { field, invalidValue, isObject, limitLength } from './fields.ts';

const cameraTypes = new Set(['simple', 'down_back', 'forward_up', 'right_turn_forward', 'left_turn_forward']);
const cameraAxes = ['horizontal', 'vertical', 'pan', 'tilt', 'roll', 'zoom'];

/** `config` belongs to type `simple` alone and moves exactly one axis, within -10 to 10. @throws Refusal 1201 */
export function checkCameraControl(cameraControl: JsonObject): void {
  const type = field(cameraControl, 'type', 'string', 'camera_control.type');
  if (!type || !cameraTypes.has(type)) throw invalidValue('camera_control.type', type ?? '');
  const config = field(cameraControl, 'config', 'object', 'camera_control.config');
  if ((type === 'simple') !== (config !== undefined)) {
    throw new Refusal(
      1201,
      `camera_control.config ${config ? 'is only supported with' : 'is required by'} type 'simple'`,
    );
  }
  if (!config) return;
  const moved = cameraAxes.filter((axis) => {
    const value = field(config, axis, 'number', `camera_control.config.${axis}`) ?? 0;
    if (value < -10 || value > 10) throw invalidValue(`camera_control.config.${axis}`, value);
    return value !== 0;
  });
  if (moved.length !== 1) throw new Refusal(1201, 'camera_control.config must have exactly one non-zero value');
}

/**
 * The shots of a legacy multi-shot request, as one prompt; undefined when the service is to cut the prompt itself.
 * @throws Refusal 1201 when indexes, lengths or durations do not add up
 */
export function readShots(body: JsonObject, duration: string): { prompt: string } | undefined {
  const shotType = field(body, 'shot_type', 'string');
  if (shotType === 'intelligence') return undefined;
  if (shotType !== 'customize') throw invalidValue('shot_type', shotType ?? '');
  const shots = field(body, 'multi_prompt', 'array') ?? [];
  if (shots.length < 1 || shots.length > 6) throw new Refusal(1201, 'multi_prompt must have 1 to 6 items');
  let totalSeconds = 0;
  const prompts = shots.map((shot, position) => {
    if (!isObject(shot)) throw new Refusal(1201, `multi_prompt[${position}] value type is invalid, expected object`);
    const at = `multi_prompt[${position}]`;
    if (field(shot, 'index', 'number', `${at}.index`) !== position + 1)
      throw invalidValue(`${at}.index`, shot['index']);
    const prompt = field(shot, 'prompt', 'string', `${at}.prompt`);
    if (!prompt?.trim()) throw new Refusal(1201, `${at}.prompt cannot be empty`);
    limitLength(`${at}.prompt`, prompt, 512);
    const seconds = field(shot, 'duration', 'string', `${at}.duration`) ?? '';
    if (!/^[1-9]\d?$/.test(seconds)) throw invalidValue(`${at}.duration`, seconds);
    totalSeconds += Number(seconds);
    return prompt;
  });
  if (String(totalSeconds) !== duration) throw new Refusal(1201, 'multi_prompt durations must add up to duration');
  return { prompt: prompts.join(' / ') };
}
