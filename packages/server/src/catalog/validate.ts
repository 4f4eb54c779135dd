import { readFields } from './fields.ts';
import { findProductOfModel } from './foreign.ts';
import { judgeGenerations } from './generation-rules.ts';
import { carriersOf } from './generations.ts';
import { createMistakeList, type MistakeList } from './mistakes.ts';
import {
  chooseAspectRatio,
  chooseCameraControl,
  chooseCfgScale,
  chooseDuration,
  chooseMode,
  chooseSound,
  judgeRetirement,
  type RuleInput,
} from './model-rules.ts';
import type { ModelRow } from './model.ts';
import { findModel, getModel, modelIds, nearestModels } from './models.ts';
import type { Generation, VideoRequest, Warning } from './request.ts';
import type { CreateVideoBody } from './schema.ts';
import { either, quote } from './spelling.ts';
import { chooseWords, type Words } from './words-rules.ts';

export interface ValidationOptions {
  /** Id or alias of the model of a request that names none. */
  readonly defaultModel: string;
  readonly retiredModels: 'accept' | 'refuse';
  /** What the configured accounts can use; null while that is not known: both. */
  readonly generations: readonly Generation[] | null;
  /** When given, a `start_before` that is not after it is refused. Unix milliseconds. */
  readonly nowMs?: number;
}

/** What Dailies itself does with a video, beside what Kling gets. */
export interface VideoExtras {
  readonly metadata: Readonly<Record<string, string>>;
  /** -10 to 10. */
  readonly priority: number;
  readonly webhookUrl: string | null;
  /** RFC 3339 in UTC. */
  readonly startBefore: string | null;
}

export interface ValidRequest {
  readonly request: VideoRequest;
  readonly extras: VideoExtras;
  readonly warnings: readonly Warning[];
  /** The only generation that takes every input; null when either does. */
  readonly needs: Generation | null;
}

/**
 * The one validation of `POST /api/videos` and its estimate: fills in every default, translates every alias and judges
 * the request by the row of its model. A `VideoRequest` given as body comes out unchanged.
 * @throws InputError with all mistakes at once, `unsupported_product` if any belongs to another product
 */
export function validateRequest(body: unknown, options: ValidationOptions): ValidRequest {
  const mistakes = createMistakeList();
  const warnings: Warning[] = [];
  const fields = readFields(body, mistakes);
  judgeProduct(fields, mistakes);
  const model = chooseModel(fields, options, mistakes);
  const words = chooseWords(fields, model, mistakes);
  const request = model && applyRules({ model, fields, mistakes, warnings }, words, options);
  const extras = chooseExtras(fields, options, mistakes);
  // the generations are judged last, by the request as it would be sent
  if (request && !mistakes.any) judgeGenerations(request, options.generations, mistakes);
  mistakes.throwIfAny();
  if (!request) throw new Error('a request without mistakes was not built');
  const [only, other] = carriersOf(request);
  return { request, extras, warnings, needs: other === undefined ? (only ?? null) : null };
}

function judgeProduct({ product }: CreateVideoBody, mistakes: MistakeList): void {
  if (product === undefined || product === null || product === 'text2video') return;
  mistakes.addForeignProduct(
    ['product'],
    `\`product\` ${quote(product)} is not available yet: leave it out or set it to "text2video".`,
  );
}

function chooseModel(fields: CreateVideoBody, options: ValidationOptions, mistakes: MistakeList): ModelRow | undefined {
  if (!mistakes.isClean('model')) return undefined;
  const asked = fields.model ?? null;
  if (asked === null) return getModel(options.defaultModel);
  const model = findModel(asked);
  if (model) return model;
  const product = findProductOfModel(asked);
  const current = modelIds((row) => row.retired === null);
  if (product) {
    mistakes.addForeignProduct(
      ['model'],
      `\`model\` ${quote(asked)} makes ${product}, which is not available yet: for text2video choose ${either(current)}.`,
    );
    return undefined;
  }
  const near = nearestModels(asked);
  const advice = near.length > 0 ? `did you mean ${either(near)}?` : `choose ${either(current)}.`;
  mistakes.add(['model'], `\`model\` ${quote(asked)} is not known: ${advice} GET /api/models lists all.`);
  return undefined;
}

function applyRules(input: RuleInput, words: Words, options: ValidationOptions): VideoRequest | undefined {
  judgeRetirement(input, options.retiredModels);
  const row = chooseMode(input);
  const duration = chooseDuration(input);
  const aspectRatio = chooseAspectRatio(input);
  const sound = chooseSound(input, row);
  const cfgScale = chooseCfgScale(input);
  const cameraControl = chooseCameraControl(input, row, duration);
  if (!row || duration === undefined || !aspectRatio) return undefined;
  return {
    product: input.model.product,
    model: input.model.id,
    mode: row.mode,
    duration,
    aspect_ratio: aspectRatio,
    sound,
    prompt: words.prompt,
    negative_prompt: words.negative_prompt,
    cfg_scale: cfgScale,
    multi_shot: words.multi_shot,
    shots: words.shots,
    camera_control: cameraControl,
    watermark: input.fields.watermark ?? false,
  };
}

function chooseExtras(fields: CreateVideoBody, options: ValidationOptions, mistakes: MistakeList): VideoExtras {
  const startBeforeMs = fields.start_before ? Date.parse(fields.start_before) : null;
  if (startBeforeMs !== null && options.nowMs !== undefined && startBeforeMs <= options.nowMs) {
    mistakes.add(['start_before'], '`start_before` has passed already: choose a later time, or leave it out.');
  }
  return {
    metadata: { ...fields.metadata },
    priority: (fields.priority ?? 0) || 0,
    webhookUrl: fields.webhook_url ? new URL(fields.webhook_url).href : null,
    startBefore: startBeforeMs === null ? null : new Date(startBeforeMs).toISOString(),
  };
}
