import * as z from 'zod';
import { creditsToCost, creditsToNumber } from '../kernel/money.ts';
import { generations as allGenerations } from './generations.ts';
import type { ModelRow } from './model.ts';
import { getModel, models } from './models.ts';
import { priceOf } from './price.ts';
import type { Generation } from './request.ts';

const modelPrice = z.object({
  mode: z.enum(['std', 'pro', '4k']).nullable().meta({ description: 'Null for a model with a single mode.' }),
  sound: z.boolean(),
  duration: z.int().meta({ description: 'Seconds.' }),
  credits: z.number().meta({ description: 'Kling API units.' }),
  cost: z.object({ amount: z.string(), currency: z.literal('USD') }).meta({ description: 'At list price.' }),
});

/** One row of the answer to `GET /api/models`. */
export const publicModel = z
  .object({
    id: z.string(),
    title: z.string(),
    product: z.literal('text2video'),
    aliases: z.array(z.string()),
    default: z.boolean().meta({ description: 'Whether a request without `model` gets this one.' }),
    available: z.boolean().meta({ description: 'Whether this server sends it with the credentials that it has.' }),
    retired: z.boolean().meta({ description: 'Whether Kling was seen to refuse it as discontinued.' }),
    successor: z.string().nullable(),
    modes: z.array(
      z.object({ mode: z.enum(['std', 'pro', '4k']).nullable(), resolution: z.string(), sound: z.array(z.boolean()) }),
    ),
    durations: z.array(z.int()),
    duration_default: z.int(),
    aspect_ratios: z.array(z.string()),
    frames_per_second: z.int(),
    prompt_characters_max: z.int(),
    negative_prompt: z.boolean(),
    cfg_scale: z.boolean(),
    multi_shot: z.array(z.enum(['customize', 'intelligence'])),
    camera_control: z.object({ mode: z.string(), duration: z.int() }).nullable(),
    prices: z.array(modelPrice).meta({ description: 'Every combination that can be made.' }),
  })
  .meta({ id: 'Model' });

export type PublicModel = z.infer<typeof publicModel>;

export interface PublicModelsOptions {
  readonly defaultModel: string;
  readonly retiredModels: 'accept' | 'refuse';
  /** What the configured accounts can use; null while that is not known: both. */
  readonly generations: readonly Generation[] | null;
}

/** What `GET /api/models` answers, from the rows that validation and price use, newest first. */
export function publicModels(options: PublicModelsOptions): readonly PublicModel[] {
  const defaultId = getModel(options.defaultModel).id;
  return models.map((model) => ({
    id: model.id,
    title: model.title,
    product: model.product,
    aliases: [...model.aliases],
    default: model.id === defaultId,
    available: isAvailable(model, options),
    retired: model.retired !== null,
    successor: model.retired?.successor ?? null,
    modes: model.modes.map(({ mode, resolution, silent, sound }) => ({
      mode,
      resolution,
      sound: [...(silent ? [false] : []), ...(sound ? [true] : [])],
    })),
    durations: [...model.durations],
    duration_default: model.durationDefault,
    aspect_ratios: [...model.aspectRatios],
    frames_per_second: model.framesPerSecond,
    prompt_characters_max: promptLimit(model, options.generations),
    negative_prompt: model.negativePrompt,
    cfg_scale: model.cfgScale,
    multi_shot: [...model.multiShot],
    camera_control: model.cameraControl && { ...model.cameraControl },
    prices: pricesOf(model),
  }));
}

function isAvailable(model: ModelRow, { retiredModels, generations }: PublicModelsOptions): boolean {
  const reachable = (generations ?? allGenerations).some((generation) => model.wireNames[generation] !== null);
  return reachable && (model.retired === null || retiredModels === 'accept');
}

/** The longest prompt that the server's credentials can send; for a model out of reach, the longest that there is. */
function promptLimit(model: ModelRow, available: readonly Generation[] | null): number {
  const having = allGenerations.filter((generation) => model.wireNames[generation] !== null);
  const reachable = having.filter((generation) => available === null || available.includes(generation));
  return Math.max(...(reachable.length > 0 ? reachable : having).map((generation) => model.promptLimits[generation]));
}

function pricesOf(model: ModelRow): PublicModel['prices'] {
  return model.modes.flatMap((row) =>
    ([false, true] as const)
      .filter((sound) => (sound ? row.sound : row.silent) !== null)
      .flatMap((sound) =>
        model.durations.map((duration) => {
          const { credits } = priceOf({ model: model.id, mode: row.mode, sound, duration });
          return { mode: row.mode, sound, duration, credits: creditsToNumber(credits), cost: creditsToCost(credits) };
        }),
      ),
  );
}
