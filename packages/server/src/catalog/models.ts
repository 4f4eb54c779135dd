import type { ModelRow, ModeRow } from './model.ts';
import { textToVideoModels } from './model-rows.ts';
import type { VideoRequest } from './request.ts';
import { nearestNames } from './spelling.ts';

/** Every model that can be named, newest first. */
export const models: readonly ModelRow[] = textToVideoModels;

const byName = new Map(models.flatMap((model) => [model.id, ...model.aliases].map((name) => [name, model] as const)));

/** The model that a user means by an id or alias, in any case and with spaces or underscores for hyphens. */
export function findModel(name: string): ModelRow | undefined {
  return byName.get(
    name
      .trim()
      .toLowerCase()
      .replaceAll(/[\s_]+/g, '-'),
  );
}

/** The model of a canonical id or alias that was checked before. @throws Error for any other: a bug or a wrong DEFAULT_MODEL */
export function getModel(name: string): ModelRow {
  const model = findModel(name);
  if (!model) throw new Error(`No model is called ${JSON.stringify(name)}; known: ${modelIds().join(', ')}.`);
  return model;
}

/** The row of a validated request's mode. */
export function getMode(request: Pick<VideoRequest, 'model' | 'mode'>): ModeRow {
  const row = getModel(request.model).modes.find((candidate) => candidate.mode === request.mode);
  if (!row) throw new Error(`${request.model} has no mode ${String(request.mode)}`);
  return row;
}

/** Canonical ids of the models that satisfy a condition, newest first. */
export function modelIds(condition: (model: ModelRow) => boolean = () => true): readonly string[] {
  return models.filter(condition).map((model) => model.id);
}

/** Canonical ids nearest to a misspelt name, at most three; empty when none is near. */
export function nearestModels(name: string): readonly string[] {
  const near = nearestNames(name, [...byName.keys()], 8).map((found) => getModel(found).id);
  return [...new Set(near)].slice(0, 3);
}

/** Whether the user chooses between silent and sound, so that the choice has a field on the wire. */
export function hasSoundSwitch(model: ModelRow): boolean {
  return model.modes.some((row) => row.sound !== null) && model.modes.some((row) => row.silent !== null);
}
