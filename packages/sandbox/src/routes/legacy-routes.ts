import type { FastifyInstance } from 'fastify';
import { findByExternalId, findById, newestFirst } from '../engine/look-up.ts';
import type { State } from '../engine/state.ts';
import type { FileUrls } from '../files/file-urls.ts';
import { Refusal } from '../wire/codes.ts';
import { envelope } from '../wire/envelope.ts';
import { invalidValue, parseBody } from '../wire/fields.ts';
import { parseLegacyOrder } from '../wire/legacy-request.ts';
import type { OrderPolicy } from '../wire/order.ts';
import { legacyCreated, legacyRecord } from '../wire/records.ts';
import { accountOf, sendJson } from './call.ts';
import type { CreateParts } from './create-task.ts';
import { createTask } from './create-task.ts';

export interface RouteParts extends CreateParts {
  readonly state: State;
  readonly urls: FileUrls;
  readonly policy: OrderPolicy;
  nowMs(): number;
}

/** The first generation: model in the body, one path per product (Kling text-to-video page, legacy). */
export function legacyRoutes(app: FastifyInstance, parts: RouteParts): void {
  const path = '/v1/videos/text2video';
  const { state, urls, policy, nowMs } = parts;

  app.post(path, { config: { kind: 'create' } }, (request, reply) => {
    const order = parseLegacyOrder(parseBody(request.body), policy);
    return createTask(parts, request, reply, { order, show: legacyCreated });
  });

  app.get<{ Params: { id: string } }>(`${path}/:id`, { config: { kind: 'query' } }, (request, reply) => {
    const view = { accountId: accountOf(request).id, nowMs: nowMs(), generation: 'legacy' } as const;
    const { id } = request.params;
    const task = findById(state, id, view) ?? findByExternalId(state, id, view);
    if (!task) throw new Refusal(1201, `Task not found by id/external id: ${id}`);
    return sendJson(reply, 200, envelope(legacyRecord(task, urls)));
  });

  app.get<{ Querystring: Record<string, unknown> }>(path, { config: { kind: 'list' } }, (request, reply) => {
    const page = readBounded(request.query, 'pageNum', 1, 1000);
    const size = readBounded(request.query, 'pageSize', 30, 500);
    const view = { accountId: accountOf(request).id, nowMs: nowMs(), generation: 'legacy' } as const;
    const records: object[] = [];
    let skipped = 0;
    for (const [task] of newestFirst(state, view)) {
      if (skipped++ < (page - 1) * size) continue;
      if (records.push(legacyRecord(task, urls)) === size) break;
    }
    return sendJson(reply, 200, envelope(records));
  });
}

function readBounded(query: Record<string, unknown>, name: string, otherwise: number, max: number): number {
  const text = query[name];
  if (text === undefined) return otherwise;
  const value = typeof text === 'string' && /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) throw invalidValue(name, text);
  return value;
}
