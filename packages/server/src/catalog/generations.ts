import { getModel } from './models.ts';
import type { Generation, Shot, VideoRequest } from './request.ts';
import { countCharacters } from './text.ts';

/** Both API generations of Kling, the preferred first. */
export const generations: readonly Generation[] = ['standard', 'legacy'];

/** Why a generation cannot carry a request: where and the end of a sentence. */
export interface Obstacle {
  readonly field: string;
  readonly reason: string;
}

/** The shots as the standard generation writes them into its prompt: `shot n, m, words;` (kling-api.md 2A.0). */
export function shotGrammar(shots: readonly Shot[]): string {
  return shots.map((shot, index) => `shot ${index + 1}, ${shot.duration}, ${shot.prompt};`).join(' ');
}

/** Why `generation` cannot carry this request whole; undefined when it can. */
export function findObstacle(request: VideoRequest, generation: Generation): Obstacle | undefined {
  const model = getModel(request.model);
  if (model.wireNames[generation] === null) return { field: 'model', reason: `does not have ${model.id}` };
  return promptObstacle(request, generation, model.promptLimits[generation]) ?? fieldObstacle(request, generation);
}

/** The generations that take every input of the request, the preferred first. */
export function carriersOf(request: VideoRequest): readonly Generation[] {
  return generations.filter((generation) => findObstacle(request, generation) === undefined);
}

function promptObstacle(request: VideoRequest, generation: Generation, limit: number): Obstacle | undefined {
  const { shots } = request;
  if (shots === null || generation === 'legacy') {
    const length = countCharacters(request.prompt ?? '');
    const reason = `takes prompts of ${limit} characters (this one has ${length})`;
    return length > limit ? { field: 'prompt', reason } : undefined;
  }
  if (shots.some((shot) => shot.prompt.includes(';'))) {
    return { field: 'shots', reason: 'separates shots by semicolons, so that their words cannot contain any' };
  }
  const length = countCharacters(shotGrammar(shots));
  const reason = `takes all shots as one text of ${limit} characters (these have ${length} together)`;
  return length > limit ? { field: 'shots', reason } : undefined;
}

/** Inputs that only the legacy generation has (kling-api.md 2A.0). */
function fieldObstacle(request: VideoRequest, generation: Generation): Obstacle | undefined {
  if (generation === 'legacy') return undefined;
  const field = (['negative_prompt', 'cfg_scale', 'camera_control'] as const).find((name) => request[name] !== null);
  return field && { field, reason: `does not take \`${field}\`` };
}
