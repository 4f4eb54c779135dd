import { carriersOf, findObstacle, generations } from './generations.ts';
import type { MistakeList } from './mistakes.ts';
import type { Generation, VideoRequest } from './request.ts';
import { either } from './spelling.ts';

const apiNames: Readonly<Record<Generation, string>> = {
  standard: "Kling's newer API",
  legacy: "Kling's older API",
};

/** What the server can do about it; the accounts of a server with an access key pair alone reach `legacy` only. */
const missingCredential: Readonly<Record<Generation, string>> = {
  standard: 'needs an API key (KLING_API_KEY), and this server has only an access key pair',
  legacy: 'is not among the accounts of this server',
};

/**
 * Refuses what no API of Kling takes whole, and what only an API takes that the accounts of this server do not reach
 * (`available`; null while that is not known).
 */
export function judgeGenerations(
  request: VideoRequest,
  available: readonly Generation[] | null,
  mistakes: MistakeList,
): void {
  const [missing, other] = carriersOf(request);
  if (missing === undefined) {
    judgeUncarried(request, mistakes);
    return;
  }
  if (available === null || available.includes(missing) || (other !== undefined && available.includes(other))) return;
  const otherwise = missing === 'standard' ? 'legacy' : 'standard';
  const obstacle = findObstacle(request, otherwise) ?? { field: 'model', reason: 'is not among the accounts either' };
  mistakes.add(
    [obstacle.field],
    `${apiNames[otherwise]} ${obstacle.reason}; ${apiNames[missing]} does it but ${missingCredential[missing]}. Change \`${obstacle.field}\`, or ask the operator of this server.`,
  );
}

function judgeUncarried(request: VideoRequest, mistakes: MistakeList): void {
  const obstacles = generations.flatMap((generation) => {
    const obstacle = findObstacle(request, generation);
    return obstacle && obstacle.field !== 'model' ? [{ ...obstacle, api: apiNames[generation] }] : [];
  });
  const reasons = obstacles.map(({ api, reason }) => `${api} ${reason}`);
  const fields = obstacles.map(({ field }) => `\`${field}\``);
  mistakes.add(
    [obstacles[0]?.field ?? 'model'],
    `No API of Kling takes this ${request.model} request whole: ${reasons.join('; ')}. Change ${either(fields)}.`,
  );
}
