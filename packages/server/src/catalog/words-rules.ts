import { modelIds } from './models.ts';
import type { ModelRow } from './model.ts';
import type { MistakeList } from './mistakes.ts';
import type { Shot, VideoRequest } from './request.ts';
import { promptCharactersMax, type CreateVideoBody } from './schema.ts';
import { either } from './spelling.ts';
import { countCharacters, isBlank } from './text.ts';

/** The words of a video: one prompt, or one for each shot. */
export type Words = Pick<VideoRequest, 'prompt' | 'negative_prompt' | 'multi_shot' | 'shots'>;

/** Judges prompt, negative prompt and shots together; `model` is undefined when the user's is already wrong. */
export function chooseWords(fields: CreateVideoBody, model: ModelRow | undefined, mistakes: MistakeList): Words {
  const multiShot = chooseMultiShot(fields, model, mistakes);
  // judged although the shots may be wrong: they still say that no prompt is needed
  const shots = fields.shots ?? null;
  if (shots === null && mistakes.isClean('shots')) judgePrompt(fields, model, mistakes);
  else if (fields.prompt !== undefined && fields.prompt !== null) {
    mistakes.add(
      ['prompt'],
      'Kling ignores `prompt` when there are `shots`: leave `prompt` out, or put its words into the shots.',
    );
  }
  return {
    prompt: fields.prompt ?? null,
    negative_prompt: chooseNegativePrompt(fields, model, mistakes),
    multi_shot: multiShot,
    shots: shots && shots.map((shot): Shot => ({ prompt: shot.prompt, duration: shot.duration })),
  };
}

function judgePrompt(fields: CreateVideoBody, model: ModelRow | undefined, mistakes: MistakeList): void {
  if (!mistakes.isClean('prompt')) return;
  const { prompt } = fields;
  if (prompt === undefined || prompt === null) {
    mistakes.add(
      ['prompt'],
      '`prompt` is missing: say what the video shows, such as "a red fox running through fresh snow".',
    );
    return;
  }
  if (isBlank(prompt)) {
    mistakes.add(['prompt'], '`prompt` is empty: say what the video shows.');
    return;
  }
  const limit = model ? Math.max(...carriedPromptLimits(model)) : promptCharactersMax;
  const length = countCharacters(prompt);
  if (length > limit) {
    const owner = model ? `the limit of ${model.id}` : 'the limit';
    mistakes.add(
      ['prompt'],
      `\`prompt\` has ${length} characters; ${owner} is ${limit}: shorten it by ${length - limit}.`,
    );
  }
}

/** The prompt limits of the generations that have the model. */
function carriedPromptLimits({ promptLimits, wireNames }: ModelRow): readonly number[] {
  return (['standard', 'legacy'] as const).filter((name) => wireNames[name] !== null).map((name) => promptLimits[name]);
}

const negativePromptCharactersMax = 2500;

/** An empty one says nothing and counts as left out. */
function chooseNegativePrompt(
  fields: CreateVideoBody,
  model: ModelRow | undefined,
  mistakes: MistakeList,
): string | null {
  const asked = fields.negative_prompt;
  if (asked === undefined || asked === null || isBlank(asked)) return null;
  const length = countCharacters(asked);
  if (model && !model.negativePrompt) {
    const detail = `${model.id} does not take \`negative_prompt\`: say in \`prompt\` what should not be seen.`;
    mistakes.add(['negative_prompt'], detail);
  } else if (length > negativePromptCharactersMax) {
    const excess = length - negativePromptCharactersMax;
    mistakes.add(
      ['negative_prompt'],
      `\`negative_prompt\` has ${length} characters; the limit is ${negativePromptCharactersMax}: shorten it by ${excess}.`,
    );
  }
  return asked;
}

function chooseMultiShot(
  fields: CreateVideoBody,
  model: ModelRow | undefined,
  mistakes: MistakeList,
): VideoRequest['multi_shot'] {
  const asked = fields.multi_shot ?? null;
  const hasShots = (fields.shots ?? null) !== null;
  if (hasShots && (asked === false || asked === 'intelligence')) {
    const rule = 'leave `multi_shot` out, or leave `shots` out';
    mistakes.add(['multi_shot'], `\`multi_shot\` ${JSON.stringify(asked)} contradicts \`shots\`: ${rule}.`);
  }
  if (!hasShots && asked === 'customize' && mistakes.isClean('shots')) {
    mistakes.add(['multi_shot'], '`multi_shot` "customize" needs `shots`: a list of 1 to 6 {prompt, duration}.');
  }
  if (!hasShots && (asked === null || asked === false)) return null;
  const kind = hasShots || asked === 'customize' ? 'customize' : 'intelligence';
  if (model && !model.multiShot.includes(kind)) judgeMissingMultiShot(kind, model, mistakes, hasShots);
  return kind;
}

function judgeMissingMultiShot(
  kind: 'customize' | 'intelligence',
  model: ModelRow,
  mistakes: MistakeList,
  hasShots: boolean,
): void {
  const others = modelIds((other) => other.multiShot.includes(kind));
  const field = hasShots ? 'shots' : 'multi_shot';
  const own = model.multiShot.length > 0 ? 'give the shots yourself in `shots`' : `leave \`${field}\` out`;
  const what = kind === 'customize' ? 'takes no `shots`' : 'does not cut a prompt into shots by itself';
  mistakes.add([field], `${model.id} ${what}: ${own}, or choose ${either(others)}.`);
}
