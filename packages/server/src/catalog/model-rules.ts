import { getModel, modelIds } from './models.ts';
import type { ModeRow, ModelRow } from './model.ts';
import type { MistakeList } from './mistakes.ts';
import type { AspectRatio, CameraControl, Warning } from './request.ts';
import type { CreateVideoBody } from './schema.ts';
import { either, quote } from './spelling.ts';

/** What every rule gets: the row, the user's fields, and where to say what is wrong and what is worth knowing. */
export interface RuleInput {
  readonly model: ModelRow;
  readonly fields: CreateVideoBody;
  readonly mistakes: MistakeList;
  readonly warnings: Warning[];
}

const modeNames: Readonly<Record<string, ModeRow['level']>> = {
  std: 'std',
  standard: 'std',
  pro: 'pro',
  professional: 'pro',
  '4k': '4k',
};

/** The quality asked for, or the default; undefined when the model does not have it. */
export function chooseMode({ model, fields, mistakes, warnings }: RuleInput): ModeRow | undefined {
  if (!mistakes.isClean('mode')) return undefined;
  const [first] = model.modes;
  if (fields.mode === undefined || fields.mode === null) return first;
  const level = modeNames[fields.mode.toLowerCase()];
  const row = model.modes.find((candidate) => candidate.level === level);
  if (!row) {
    const offered = model.modes.map((candidate) => `"${candidate.level}" (${candidate.resolution})`);
    const rule =
      first.mode === null
        ? `it has a single mode: leave \`mode\` out, or say ${offered[0]}`
        : `choose ${either(offered)}`;
    mistakes.add(['mode'], `\`mode\` ${quote(fields.mode)} is not available for ${model.id}: ${rule}.`);
  } else if (row.mode === null) {
    warnings.push({
      code: 'mode_ignored',
      message: `${model.id} has a single mode (${row.resolution}): \`mode\` changes nothing and is not sent.`,
    });
  }
  return row;
}

/** The whole seconds asked for; with shots, their sum; else the default. Undefined when the model does not make that. */
export function chooseDuration({ model, fields, mistakes }: RuleInput): number | undefined {
  if (!mistakes.isClean('duration') || !mistakes.isClean('shots')) return undefined;
  const sum = fields.shots?.reduce((total, shot) => total + shot.duration, 0);
  const asked = typeof fields.duration === 'string' ? Number(fields.duration) : fields.duration;
  const duration = asked ?? sum ?? model.durationDefault;
  const field = asked === undefined || asked === null ? 'shots' : 'duration';
  if (!model.durations.includes(duration)) {
    const subject = field === 'shots' ? `${duration} s, which the shots last together,` : `\`duration\` ${duration}`;
    mistakes.add([field], `${subject} is not available for ${model.id}: it makes ${describeDurations(model)} s.`);
    return undefined;
  }
  if (sum !== undefined && sum !== duration) {
    const rule = `make them last ${duration} s, or leave \`duration\` out`;
    mistakes.add(['shots'], `The shots together last ${sum} s, but \`duration\` is ${duration}: ${rule}.`);
  }
  return duration;
}

/** `5 or 10`, `3 to 15`. */
function describeDurations({ durations }: ModelRow): string {
  return durations.length > 3 ? `${durations[0]} to ${durations.at(-1)}` : either(durations);
}

export function chooseAspectRatio({ model, fields, mistakes }: RuleInput): AspectRatio | undefined {
  if (!mistakes.isClean('aspect_ratio')) return undefined;
  const asked = fields.aspect_ratio ?? model.aspectRatios[0];
  const ratio = model.aspectRatios.find((candidate) => candidate === asked);
  if (!ratio) {
    const offered = model.aspectRatios.map((candidate) => `"${candidate}"`);
    mistakes.add(
      ['aspect_ratio'],
      `\`aspect_ratio\` ${quote(asked)} is not available for ${model.id}: choose ${either(offered)}.`,
    );
  }
  return ratio;
}

/** Whether there is sound; the model decides where the user does not. `row` is undefined when the mode is already wrong. */
export function chooseSound({ model, fields, mistakes }: RuleInput, row: ModeRow | undefined): boolean {
  const asked =
    fields.sound === undefined || fields.sound === null ? null : fields.sound === true || fields.sound === 'on';
  const offers = (sound: boolean) =>
    (row ? [row] : model.modes).some((mode) => (sound ? mode.sound : mode.silent) !== null);
  const sound = asked ?? !offers(false);
  if (!mistakes.isClean('sound') || offers(sound)) return sound;
  const withSound = model.modes.filter((mode) => mode.sound !== null).map((mode) => `"${mode.level}"`);
  const others = modelIds((other) => other.modes.some((mode) => mode.sound !== null));
  if (!sound) {
    mistakes.add(
      ['sound'],
      `${model.id} always makes sound, which its price includes: leave \`sound\` out or set it to true.`,
    );
  } else if (withSound.length > 0) {
    mistakes.add(
      ['sound'],
      `${model.id} makes sound in mode ${either(withSound)} only: set \`mode\` to it, or leave \`sound\` out.`,
    );
  } else {
    mistakes.add(['sound'], `${model.id} makes no sound: leave \`sound\` out, or choose ${either(others)}.`);
  }
  return sound;
}

/** 0 to 1 for the models that take it (0.5 unless asked), null for the others. */
export function chooseCfgScale({ model, fields, mistakes }: RuleInput): number | null {
  if (model.cfgScale) return (fields.cfg_scale ?? 0.5) || 0;
  if (fields.cfg_scale !== undefined && fields.cfg_scale !== null) {
    const others = modelIds((other) => other.cfgScale);
    mistakes.add(
      ['cfg_scale'],
      `${model.id} does not take \`cfg_scale\`: leave it out (only ${either(others, 'and')} take it).`,
    );
  }
  return null;
}

/** The camera movement as asked for; `duration` and `row` are undefined when they are already wrong. */
export function chooseCameraControl(
  { model, fields, mistakes }: RuleInput,
  row: ModeRow | undefined,
  duration: number | undefined,
): CameraControl | null {
  const asked = fields.camera_control;
  if (!asked) return null;
  const { cameraControl } = model;
  if (!cameraControl) {
    const others = modelIds((other) => other.cameraControl !== null);
    mistakes.add(
      ['camera_control'],
      `${model.id} does not take \`camera_control\`: describe the camera in \`prompt\` (only ${either(others)} takes it).`,
    );
  } else if (
    (row && row.mode !== cameraControl.mode) ||
    (duration !== undefined && duration !== cameraControl.duration)
  ) {
    mistakes.add(
      ['camera_control'],
      `${model.id} takes \`camera_control\` in mode "${cameraControl.mode}" with ${cameraControl.duration} s only: set \`mode\` and \`duration\` so, or leave it out.`,
    );
  }
  const config = Object.entries(asked.config ?? {}).filter(([, value]) => value !== undefined);
  return { type: asked.type, config: asked.config ? Object.fromEntries(config) : null };
}

/** Says that Kling was seen to refuse the model, as a warning or, where the operator wants that, as a mistake. */
export function judgeRetirement({ model, mistakes, warnings }: RuleInput, retiredModels: 'accept' | 'refuse'): void {
  if (!model.retired) return;
  const { id: successor } = getModel(model.retired.successor);
  const seen = `Kling was seen to refuse ${model.id} as discontinued`;
  if (retiredModels === 'refuse') {
    mistakes.add(['model'], `${seen}, so this server does not send it: use "${successor}".`);
  } else {
    warnings.push({
      code: 'model_retired',
      message: `${seen}; if it does so again, the video fails without a charge. Its successor is "${successor}".`,
    });
  }
}
