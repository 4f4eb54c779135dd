import { AppError } from '../kernel/errors.ts';
import type { Answer } from './answer.ts';
import type { KlingAccount, LookAnswer, ProviderFailure, TaskReference, TaskReport } from './kling-api.ts';
import { failureOf } from './reactions.ts';

/** Who asks, where, and until when: the same for all calls of one look-up. */
export interface Asking {
  readonly account: KlingAccount;
  readonly host: string;
  readonly signal: AbortSignal;
  /** On `Clock.monotonicMs`. */
  readonly deadlineMs: number;
}

/** When tasks were created: Unix milliseconds, both ends included. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Whether a record is the task that was asked for. A known task id decides alone; else the external id does. */
export function isTaskOf(reference: TaskReference, report: TaskReport): boolean {
  if (reference.taskId !== null) return report.taskId === reference.taskId;
  return report.externalTaskId === reference.externalTaskId;
}

/** An answer from which nothing was learned about a task. @param message for a success that cannot be used */
export function notLearned(answer: Answer, message = 'Kling answered in an unknown shape'): LookAnswer {
  return { kind: 'unknown', failure: unusable(answer, message) };
}

/** For a task that no call was made for. */
export function neverAsked(message: string): LookAnswer {
  const failure = { httpStatus: null, code: null, message, requestId: null, retryAfterMs: null, neverSent: true };
  return { kind: 'unknown', failure: { ...failure, reaction: 'doubt' } };
}

/** For what must be answered completely or not at all. */
export function mustLearn(answer: Answer, what: string): AppError {
  const { message } = unusable(answer, 'it answered in an unknown shape');
  return new AppError('unavailable', `Kling did not show ${what}: ${message}.`);
}

/** A success that cannot be used is never a refusal, whatever it says. */
export function unusable(answer: Answer, message: string): ProviderFailure {
  const failure = failureOf(answer);
  return answer.httpStatus === 200 && answer.code === 0 ? { ...failure, message, reaction: 'doubt' } : failure;
}

export function inGroups<Item>(items: readonly Item[], sizeMax: number): Item[][] {
  const groups: Item[][] = [];
  for (let start = 0; start < items.length; start += sizeMax) groups.push(items.slice(start, start + sizeMax));
  return groups;
}
