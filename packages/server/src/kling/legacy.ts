import { AppError } from '../kernel/errors.ts';
import { succeededData } from './answer.ts';
import type { Calls } from './calls.ts';
import { saysTaskNotFound } from './failure-texts.ts';
import { inParallel } from './in-parallel.ts';
import type { LookAnswer, TaskReference, TaskReport } from './kling-api.ts';
import { isTaskOf, mustLearn, neverAsked, notLearned } from './look-up.ts';
import type { Asking, Span } from './look-up.ts';
import { readTaskRecord } from './task-record.ts';

/** The create paths whose tasks a walk over an account covers. */
const createPaths = ['/v1/videos/text2video'];
const pageSizeMax = 500;
const pageSizeMin = 30;
const pagesMax = 1_000;
const parallelMax = 4;
/** One look-up asks at most this often for tasks that were not on the page; the others are asked at their next look. */
const singlesMax = 60;

/** Look-ups by the legacy paths; the only ones for an AK/SK pair. */
export interface LegacyLookUps {
  /** One answer per reference, in their order. */
  look(references: readonly TaskReference[], asking: Asking): Promise<LookAnswer[]>;
  /** All tasks of the known paths that Kling created in the span. @throws AppError `unavailable` when a page cannot be read */
  list(span: Span, asking: () => Asking): AsyncIterable<TaskReport>;
}

export function createLegacyLookUps(calls: Calls, log?: (line: object) => void): LegacyLookUps {
  async function lookSingly(reference: TaskReference, asking: Asking): Promise<LookAnswer> {
    const path = `${reference.path}/${encodeURIComponent(reference.taskId ?? reference.externalTaskId)}`;
    const answer = await calls.read({ ...asking, method: 'GET', path });
    if (saysTaskNotFound(answer)) return { kind: 'not_found' };
    const report = readTaskRecord(succeededData(answer));
    if (!report) return notLearned(answer);
    // The path asked for this id; only a record that names another one is not ours.
    const named = reference.taskId !== null || report.externalTaskId !== null;
    if (named && !isTaskOf(reference, report)) return notLearned(answer, 'Kling answered with another task');
    return { kind: 'found', report };
  }

  /** The newest tasks of a path, or why they are not known. */
  async function readPage(path: string, pageSize: number, asking: Asking): Promise<readonly TaskReport[] | LookAnswer> {
    const answer = await calls.read({ ...asking, method: 'GET', path, query: `pageNum=1&pageSize=${pageSize}` });
    if (answer.httpStatus !== 200 || answer.code !== 0) return notLearned(answer);
    const records = Array.isArray(answer.data) ? answer.data : [];
    return records.map(readTaskRecord).filter((report) => report !== undefined);
  }

  async function lookOnPath(references: readonly TaskReference[], path: string, asking: Asking): Promise<Found> {
    const found: Found = { answers: new Map(), missing: [] };
    // The newest tasks come first, so that a page somewhat larger than what is in flight shows nearly all of it.
    const pageSize = Math.min(pageSizeMax, Math.max(pageSizeMin, references.length * 2));
    const page = references.length > 1 ? await readPage(path, pageSize, asking) : [];
    for (const reference of references) {
      const report = 'kind' in page ? undefined : page.find((candidate) => isTaskOf(reference, candidate));
      if ('kind' in page) found.answers.set(reference, page);
      else if (report) found.answers.set(reference, { kind: 'found', report });
      else found.missing.push(reference);
    }
    return found;
  }

  async function look(references: readonly TaskReference[], asking: Asking): Promise<LookAnswer[]> {
    const answers = new Map<TaskReference, LookAnswer>();
    const missing: TaskReference[] = [];
    for (const [path, group] of Map.groupBy(references, (reference) => reference.path)) {
      const found = await lookOnPath(group, path, asking);
      for (const [reference, answer] of found.answers) answers.set(reference, answer);
      missing.push(...found.missing);
    }
    await inParallel(missing.slice(0, singlesMax), parallelMax, async (reference) => {
      answers.set(reference, await lookSingly(reference, asking));
    });
    return references.map((reference) => answers.get(reference) ?? notAsked);
  }

  async function* listPath(path: string, span: Span, asking: () => Asking): AsyncGenerator<TaskReport> {
    for (let pageNum = 1; pageNum <= pagesMax; pageNum++) {
      const who = asking();
      const query = `pageNum=${pageNum}&pageSize=${pageSizeMax}`;
      const answer = await calls.read({ ...who, method: 'GET', path, query });
      const records = succeededData(answer);
      if (!Array.isArray(records)) throw mustLearn(answer, 'its tasks');
      let older = 0;
      for (const record of records) {
        const report = readTaskRecord(record);
        if (!report) log?.({ event: 'kling_unreadable_record', accountId: who.account.id });
        else if (report.createdAtMs !== null && report.createdAtMs < span.fromMs) older++;
        else if (report.createdAtMs === null || report.createdAtMs <= span.toMs) yield report;
      }
      // Kling does not promise an order: only a page that is old as a whole ends the walk early.
      if (records.length < pageSizeMax || older === records.length) return;
    }
    throw new AppError('unavailable', `Kling's task list has more than ${pagesMax} pages.`);
  }

  return {
    look,
    async *list(span, asking) {
      for (const path of createPaths) yield* listPath(path, span, asking);
    },
  };
}

interface Found {
  readonly answers: Map<TaskReference, LookAnswer>;
  readonly missing: TaskReference[];
}

const notAsked = neverAsked(`not asked: more than ${singlesMax} tasks were not on the list page`);
