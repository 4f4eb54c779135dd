import type { FastifyInstance } from 'fastify';
import { findByExternalId, findById, newestFirst } from '../engine/look-up.ts';
import { Refusal } from '../wire/codes.ts';
import { envelope } from '../wire/envelope.ts';
import { parseBody } from '../wire/fields.ts';
import { parseStandardOrder } from '../wire/standard-request.ts';
import { standardCreated, standardRecord } from '../wire/records.ts';
import { parseTaskSearch, writeCursor } from '../wire/task-search.ts';
import { accountOf, sendJson } from './call.ts';
import { createTask } from './create-task.ts';
import type { RouteParts } from './legacy-routes.ts';

const idsMax = 20;

/** The second generation: model in the path, one `/tasks` for all products (Kling API pages since 2026-06-17). */
export function standardRoutes(app: FastifyInstance, parts: RouteParts): void {
  const { state, urls, policy, nowMs } = parts;

  app.post<{ Params: { model: string } }>('/text-to-video/:model', { config: { kind: 'create' } }, (request, reply) => {
    const order = parseStandardOrder(parseBody(request.body), request.params.model, policy);
    return createTask(parts, request, reply, { order, show: standardCreated });
  });

  app.get<{ Querystring: Record<string, unknown> }>('/tasks', { config: { kind: 'query' } }, (request, reply) => {
    const { by, ids } = readIds(request.query);
    const view = { accountId: accountOf(request).id, nowMs: nowMs() };
    const find = by === 'task_ids' ? findById : findByExternalId;
    const tasks = [...new Set(ids)].flatMap((id) => find(state, id, view) ?? []);
    return sendJson(reply, 200, envelope(tasks.map((task) => standardRecord(task, urls))));
  });

  app.post('/tasks', { config: { kind: 'list' } }, (request, reply) => {
    const search = parseTaskSearch(parseBody(request.body), nowMs());
    const view = { accountId: accountOf(request).id, nowMs: nowMs() };
    const found: object[] = [];
    let nextBefore: number | undefined;
    for (const [task, position] of newestFirst(state, view, search.before)) {
      if (task.plan.createdAtMs < search.startMs) break;
      if (task.plan.createdAtMs > search.endMs || !search.accepts(task)) continue;
      if (found.length === search.limit) {
        nextBefore = position + 1;
        break;
      }
      found.push(standardRecord(task, urls));
    }
    const cursor = nextBefore === undefined ? '' : writeCursor(search, nextBefore);
    const data = { result: found, count: found.length, next_cursor: cursor, has_more: nextBefore !== undefined };
    return sendJson(reply, 200, envelope(data));
  });
}

/** Exactly one of the two lists, 20 ids at most. @throws Refusal 1201 */
function readIds(query: Record<string, unknown>): { by: 'task_ids' | 'external_task_ids'; ids: readonly string[] } {
  const taskIds = split(query['task_ids']);
  const externalIds = split(query['external_task_ids']);
  if (taskIds.length === 0 && externalIds.length === 0) {
    throw new Refusal(1201, 'task_ids or external_task_ids is required');
  }
  if (taskIds.length + externalIds.length > idsMax) {
    throw new Refusal(1201, `task_ids and external_task_ids cannot exceed ${idsMax} in total`);
  }
  if (taskIds.length > 0 && externalIds.length > 0) {
    throw new Refusal(1201, 'only one of task_ids and external_task_ids is allowed');
  }
  return taskIds.length > 0 ? { by: 'task_ids', ids: taskIds } : { by: 'external_task_ids', ids: externalIds };
}

function split(value: unknown): readonly string[] {
  const text = Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : '';
  return text
    .split(',')
    .map((id) => id.trim())
    .filter(Boolean);
}
