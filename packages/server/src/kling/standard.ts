import { z } from 'zod';
import { AppError } from '../kernel/errors.ts';
import { succeededData } from './answer.ts';
import type { Answer } from './answer.ts';
import type { Calls } from './calls.ts';
import { inParallel } from './in-parallel.ts';
import type { LookAnswer, TaskReference, TaskReport } from './kling-api.ts';
import { inGroups, isTaskOf, mustLearn, notLearned } from './look-up.ts';
import type { Asking, Span } from './look-up.ts';
import { readTaskRecord } from './task-record.ts';

/** Seen limit of `GET /tasks` (kling-api.md 1.5). */
const idsMax = 20;
const parallelMax = 4;
const pageSize = 500;
const pagesMax = 2_000;

const page = z.object({
  result: z.array(z.unknown()),
  next_cursor: z.string().nullish().catch(null),
  has_more: z.boolean().nullish().catch(null),
});

/** Look-ups by the new standard (API key only). They also return tasks that the legacy paths created. */
export interface StandardLookUps {
  /** One answer per reference, in their order. */
  look(references: readonly TaskReference[], asking: Asking): Promise<LookAnswer[]>;
  /** All video tasks that Kling created in the span. @throws AppError `unavailable` when a page cannot be read */
  list(span: Span, asking: () => Asking): AsyncIterable<TaskReport>;
}

export function createStandardLookUps(calls: Calls, log?: (line: object) => void): StandardLookUps {
  async function lookGroup(group: readonly TaskReference[], byId: boolean, asking: Asking): Promise<LookAnswer[]> {
    const ids = group.map((reference) => encodeURIComponent((byId && reference.taskId) || reference.externalTaskId));
    const query = `${byId ? 'task_ids' : 'external_task_ids'}=${ids.join(',')}`;
    const answer = await calls.read({ ...asking, method: 'GET', path: '/tasks', query });
    const records = succeededData(answer);
    if (!Array.isArray(records)) return group.map(() => notLearned(answer));
    const reports = records.map(readTaskRecord);
    return group.map((reference) => choose(reference, reports, answer));
  }

  function choose(reference: TaskReference, reports: readonly (TaskReport | undefined)[], answer: Answer): LookAnswer {
    const matching = reports.filter((report) => report !== undefined).filter((report) => isTaskOf(reference, report));
    const [first, ...others] = matching.toSorted((a, b) => (a.createdAtMs ?? 0) - (b.createdAtMs ?? 0));
    if (!first) {
      // A record that cannot be read may be the one: its absence is not known.
      if (reports.includes(undefined))
        return notLearned(answer, 'Kling answered with a task record that cannot be read');
      return { kind: 'not_found' };
    }
    if (others.length > 0) {
      const { accountId, externalTaskId } = reference;
      log?.({
        event: 'kling_duplicate_task',
        accountId,
        externalTaskId,
        taskIds: matching.map((report) => report.taskId),
      });
    }
    return { kind: 'found', report: first };
  }

  async function look(references: readonly TaskReference[], asking: Asking): Promise<LookAnswer[]> {
    const answers = new Map<TaskReference, LookAnswer>();
    const groups = [true, false].flatMap((byId) =>
      inGroups(
        references.filter((reference) => (reference.taskId !== null) === byId),
        idsMax,
      ).map((group) => ({ group, byId })),
    );
    await inParallel(groups, parallelMax, async ({ group, byId }) => {
      const found = await lookGroup(group, byId, asking);
      for (const [index, reference] of group.entries()) {
        const answer = found[index];
        if (answer) answers.set(reference, answer);
      }
    });
    return references.flatMap((reference) => answers.get(reference) ?? []);
  }

  async function* list(span: Span, asking: () => Asking): AsyncGenerator<TaskReport> {
    const filters = [{ key: 'product_type', values: ['video'] }];
    let body: object = { start_time: span.fromMs, end_time: span.toMs, limit: pageSize, filters };
    const seen = new Set<string>();
    for (let pages = 0; pages < pagesMax; pages++) {
      const who = asking();
      const answer = await calls.read({ ...who, method: 'POST', path: '/tasks', body });
      const parsed = page.safeParse(succeededData(answer));
      if (!parsed.success) throw mustLearn(answer, 'its tasks');
      for (const record of parsed.data.result) {
        const report = readTaskRecord(record);
        if (report) yield report;
        else log?.({ event: 'kling_unreadable_record', accountId: who.account.id });
      }
      const cursor = parsed.data.next_cursor;
      if (!cursor && parsed.data.has_more) throw mustLearn(answer, 'where its list goes on');
      if (!cursor || parsed.data.has_more === false) return;
      if (seen.has(cursor)) throw new AppError('unavailable', 'Kling repeated a page of its task list.');
      seen.add(cursor);
      body = { cursor, limit: pageSize, filters };
    }
    throw new AppError('unavailable', `Kling's task list has more than ${pagesMax} pages.`);
  }

  return { look, list };
}
