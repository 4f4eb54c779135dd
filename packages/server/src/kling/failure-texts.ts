import type { Answer } from './answer.ts';

/** The parts of an answer that decide. */
export type Verdict = Pick<Answer, 'httpStatus' | 'code' | 'message'>;

/** "External_task_id <x> already exists": generous, because reading it as a refusal would buy the video twice. */
export function saysAlreadyExists(message: string): boolean {
  if (/already\s+exist|已存在/i.test(message)) return true;
  return /external[\s_-]*(task[\s_-]*)?id/i.test(message) && /duplicat|repeated|already|not\s+unique/i.test(message);
}

/** "Task not found by id/external id: <v>": the legacy paths' way to say that there is no such task. */
export function saysTaskNotFound({ httpStatus, code, message }: Verdict): boolean {
  return httpStatus === 400 && code === 1201 && /\btask\s+not\s+found\b/i.test(message);
}

/** The texts for retired models and paths, which come with several codes. */
export function saysModelIsGone(message: string): boolean {
  return /\bdiscontinued\b|no longer available|^\s*model is not supported/i.test(message);
}
