import * as z from 'zod';
import { isLoopbackHost } from '../kernel/loopback.ts';
import { countCharacters, isBlank, textProblem } from './text.ts';

/** Longest prompt of any model; what each model takes is checked with its row. */
export const promptCharactersMax = 3072;
export const shotCharactersMax = 512;
export const shotsMax = 6;
const metadataPairsMax = 16;
const metadataKeyCharactersMax = 64;
const metadataValueCharactersMax = 512;
const urlCharactersMax = 2048;

/** A problem in the words of the user's field; `path` leads on from the field when it has parts. */
type Check<T> = (value: T) => string | { readonly message: string; readonly path: PropertyKey[] } | undefined;

/** Runs a check as a refinement, which the JSON schema leaves out and the error keeps word by word. */
function checking<T>(check: Check<T>) {
  return (value: T, context: z.core.$RefinementCtx<T>): void => {
    const problem = check(value);
    if (problem === undefined) return;
    context.addIssue({ code: 'custom', ...(typeof problem === 'string' ? { message: problem } : problem) });
  };
}

function text(name: string, help: string) {
  return z.string({ error: `\`${name}\` must be a text. ${help}` }).superRefine(
    checking((value) => {
      const problem = textProblem(value);
      return problem && `\`${name}\` ${problem}.`;
    }),
  );
}

const axisRule = 'An axis of `camera_control.config` must be a number from -10 to 10.';
const axis = z.number(axisRule).min(-10, axisRule).max(10, axisRule).optional();
const axes = { horizontal: axis, vertical: axis, pan: axis, tilt: axis, roll: axis, zoom: axis };

const cameraControl = z
  .strictObject(
    {
      type: z.enum(['simple', 'down_back', 'forward_up', 'right_turn_forward', 'left_turn_forward'], {
        error:
          '`camera_control.type` must be one of "simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward".',
      }),
      config: z
        .strictObject(axes, {
          error: (issue) =>
            issue.code === 'invalid_type' ? '`camera_control.config` must be an object of axes.' : undefined,
        })
        .nullish(),
    },
    {
      error: (issue) =>
        issue.code === 'invalid_type'
          ? '`camera_control` must be an object with `type` and, for "simple", `config`.'
          : undefined,
    },
  )
  .superRefine(
    checking(({ type, config }) => {
      if (type !== 'simple') {
        return config
          ? {
              message: `\`camera_control.config\` belongs to type "simple" only: leave it out for ${JSON.stringify(type)}.`,
              path: ['config'],
            }
          : undefined;
      }
      const moving = Object.values(config ?? {}).filter((value) => value !== 0);
      return moving.length === 1
        ? undefined
        : {
            message: `\`camera_control.config\` needs exactly one axis that is not zero (${Object.keys(axes).join(', ')}); it has ${moving.length}.`,
            path: ['config'],
          };
    }),
  );

const shotDurationRule = 'The `duration` of a shot must be whole seconds, 1 or more.';

const shot = z.strictObject(
  {
    prompt: z.string({ error: 'A shot needs a `prompt`: the words of this shot.' }).superRefine(
      checking((value) => {
        const length = countCharacters(value);
        if (isBlank(value)) return 'The `prompt` of a shot must not be empty.';
        if (length > shotCharactersMax) {
          return `The \`prompt\` of a shot may have ${shotCharactersMax} characters; this one has ${length}.`;
        }
        const problem = textProblem(value);
        return problem && `The \`prompt\` of a shot ${problem}.`;
      }),
    ),
    duration: z.int(shotDurationRule).min(1, shotDurationRule),
  },
  {
    error: (issue) =>
      issue.code === 'invalid_type' ? 'A shot must be an object with `prompt` and `duration`.' : undefined,
  },
);

const metadata = z
  .record(z.string(), z.string({ error: 'The values of `metadata` must be texts.' }), {
    error: '`metadata` must be an object of text values.',
  })
  .superRefine((pairs, context) => {
    const entries = Object.entries(pairs);
    if (entries.length > metadataPairsMax) {
      const message = `\`metadata\` may have ${metadataPairsMax} pairs; this has ${entries.length}.`;
      context.addIssue({ code: 'custom', message });
    }
    for (const [key, value] of entries.slice(0, metadataPairsMax)) {
      for (const message of metadataProblems(key, value)) context.addIssue({ code: 'custom', message, path: [key] });
    }
  });

function metadataProblems(key: string, value: string): readonly string[] {
  const keyProblem = textProblem(key);
  const valueProblem = textProblem(value);
  const keyLength = countCharacters(key);
  const valueLength = countCharacters(value);
  return [
    keyLength < 1 || keyLength > metadataKeyCharactersMax
      ? `A key of \`metadata\` must have 1 to ${metadataKeyCharactersMax} characters; this one has ${keyLength}.`
      : undefined,
    keyProblem && `A key of \`metadata\` ${keyProblem}.`,
    valueLength > metadataValueCharactersMax
      ? `A value of \`metadata\` may have ${metadataValueCharactersMax} characters; this one has ${valueLength}.`
      : undefined,
    valueProblem && `A value of \`metadata\` ${valueProblem}.`,
  ].filter((problem) => problem !== undefined);
}

const durationRule = '`duration` must be whole seconds, as a number or a numeric text such as 5 or "10".';
const cfgScaleRule = '`cfg_scale` must be a number from 0 to 1.';
const priorityRule = '`priority` must be a whole number from -10 to 10.';
const startBeforeRule = '`start_before` must be a time with date and zone (RFC 3339) such as "2030-01-31T18:00:00Z".';
const shotsRule = `\`shots\` must be a list of 1 to ${shotsMax} shots.`;
/** An address for webhooks, in the words of the field that holds it; where it leads is judged when it is used. */
export function webhookAddress(field: string) {
  const rule = `\`${field}\` must be an https:// URL (http:// only for localhost)`;
  return z.string({ error: `${rule}.` }).superRefine(
    checking((value) => {
      if (!URL.canParse(value)) return `${rule}; this is no URL.`;
      const { protocol, hostname, username, password } = new URL(value);
      if (protocol !== 'https:' && !(protocol === 'http:' && isLoopbackHost(hostname))) return `${rule}.`;
      if (username || password)
        return `\`${field}\` must not carry a user name or password: deliveries are signed instead.`;
      return value.length > urlCharactersMax ? `\`${field}\` may have ${urlCharactersMax} characters.` : undefined;
    }),
  );
}

/**
 * The body of `POST /api/videos`: shape and ranges that hold for every model. A field that is null counts as left out.
 * What a model takes is the business of `validateRequest`, which uses this schema itself.
 */
export const createVideoBody = z
  .strictObject({
    prompt: text('prompt', 'Describe the video.')
      .nullish()
      .meta({
        description:
          'What the video shows. Required unless `shots` carries the words. The limit in characters depends on the model.',
        minLength: 1,
        maxLength: promptCharactersMax,
        examples: ['a red fox running through fresh snow'],
      }),
    product: z
      .string({ error: '`product` must be "text2video".' })
      .nullish()
      .meta({ description: 'The kind of video; `text2video` is the only one so far.', default: 'text2video' }),
    model: z
      .string({ error: '`model` must be the name of a model as text; GET /api/models lists them.' })
      .nullish()
      .meta({ description: 'Id or alias from GET /api/models.', examples: ['kling-2.6', 'kling-v2-master'] }),
    mode: z.string({ error: '`mode` must be "std", "pro" or "4k".' }).nullish().meta({
      description: '`std` (or `standard`), `pro` (or `professional`) or `4k`, as far as the model has it.',
      default: 'std',
    }),
    duration: z
      .union([z.int(), z.string().regex(/^[1-9]\d{0,2}$/, durationRule)], durationRule)
      .nullish()
      .meta({ description: 'Seconds; with `shots` their sum.', default: 5 }),
    aspect_ratio: z
      .string({ error: '`aspect_ratio` must be "16:9", "9:16" or "1:1".' })
      .nullish()
      .meta({ description: 'Width to height: `16:9`, `9:16` or `1:1`.', default: '16:9' }),
    sound: z
      .union([z.boolean(), z.enum(['on', 'off'])], { error: '`sound` must be true or false (or "on" or "off").' })
      .nullish()
      .meta({ description: 'Whether the video has a sound track; changes the price.' }),
    negative_prompt: text('negative_prompt', 'Describe what the video should not show.')
      .nullish()
      .meta({ description: 'What the video should not show.', maxLength: 2500 }),
    cfg_scale: z
      .number(cfgScaleRule)
      .min(0, cfgScaleRule)
      .max(1, cfgScaleRule)
      .nullish()
      .meta({ description: 'How closely the video follows the prompt; Kling 1.x only, where 0.5 is usual.' }),
    multi_shot: z
      .union([z.boolean(), z.enum(['customize', 'intelligence'])], {
        error: '`multi_shot` must be true or false, "intelligence" or "customize".',
      })
      .nullish()
      .meta({
        description:
          'Several shots in one video. `true` or `intelligence`: Kling cuts `prompt` into shots. With `shots`: you do (`customize`).',
        default: false,
      }),
    shots: z
      .array(shot, shotsRule)
      .min(1, shotsRule)
      .max(shotsMax, shotsRule)
      .nullish()
      .meta({ description: 'The shots in their order, instead of `prompt`; together they last as long as the video.' }),
    camera_control: cameraControl.nullish().meta({ description: 'How the camera moves; Kling 1.0 only.' }),
    watermark: z
      .boolean({ error: '`watermark` must be true or false.' })
      .nullish()
      .meta({ description: 'Whether Kling also makes a watermarked variant.', default: false }),
    metadata: metadata.nullish().meta({
      description: 'Your own texts, kept with the video and filterable: up to 16 pairs.',
      maxProperties: metadataPairsMax,
    }),
    priority: z
      .int(priorityRule)
      .min(-10, priorityRule)
      .max(10, priorityRule)
      .nullish()
      .meta({ description: 'Higher starts earlier among your own videos.', default: 0 }),
    webhook_url: webhookAddress('webhook_url')
      .nullish()
      .meta({ description: 'Called by Dailies once, when the video has ended.', format: 'uri' }),
    start_before: z.iso
      .datetime({ offset: true, error: startBeforeRule })
      // years of more or less than four digits have no RFC 3339 form once they are turned to UTC
      .superRefine(checking((value) => (/^(19|20|21)/.test(value) ? undefined : startBeforeRule)))
      .nullish()
      .meta({ description: 'The video fails, free of charge, when it could not start by then.' }),
  })
  .meta({ id: 'CreateVideo', description: 'A video to make. Only `prompt` is required.' });

export type CreateVideoBody = z.infer<typeof createVideoBody>;
