import type { FastifyInstance } from 'fastify';
import type { AccountSettings } from '../accounts.ts';
import { packName } from '../accounts.ts';
import { getModel } from '../catalog/models.ts';
import { unitsText } from '../catalog/prices.ts';
import { resolutionOf } from '../catalog/shape.ts';
import { newestFirst } from '../engine/look-up.ts';
import type { State } from '../engine/state.ts';
import type { Task } from '../engine/task.ts';
import { seededHex } from '../random.ts';
import { Refusal } from '../wire/codes.ts';
import { envelope } from '../wire/envelope.ts';
import { parseBody } from '../wire/fields.ts';
import { parseTaskSearch, readTime, writeCursor } from '../wire/task-search.ts';
import { accountOf, sendJson } from './call.ts';

export interface AccountRouteParts {
  readonly state: State;
  nowMs(): number;
}

const dayMs = 86_400_000;

/** The free account endpoints (Kling account-usage and billing pages). Numbers are exact here; at Kling they lag. */
export function accountRoutes(app: FastifyInstance, { state, nowMs }: AccountRouteParts): void {
  app.get<{ Querystring: Record<string, unknown> }>(
    '/account/costs',
    { config: { kind: 'costs' } },
    (request, reply) => {
      const { start_time: start, end_time: end, resource_pack_name: name } = request.query;
      if (!start || !end) throw new Refusal(1200, 'Missing Request Parameter');
      const startMs = readTime(request.query, 'start_time') ?? 0;
      const endMs = readTime(request.query, 'end_time') ?? 0;
      const pack = packOf(state, accountOf(request), nowMs());
      const isWanted =
        pack.effective_time <= endMs && pack.invalid_time >= startMs && (!name || name === pack.resource_pack_name);
      const data = { code: 0, msg: 'SUCCEED', resource_pack_subscribe_infos: isWanted ? [pack] : [] };
      return sendJson(reply, 200, envelope(data));
    },
  );

  app.post('/account/billing/package', { config: { kind: 'billing' } }, (request, reply) => {
    const account = accountOf(request);
    const search = parseTaskSearch({ limit: 500, ...parseBody(request.body), filters: [] }, nowMs());
    const detail: object[] = [];
    let nextBefore: number | undefined;
    for (const [task, position] of newestFirst(state, { accountId: account.id, nowMs: nowMs() }, search.before)) {
      if (task.status !== 'succeeded' || task.updatedAtMs < search.startMs || task.updatedAtMs > search.endMs) continue;
      if (detail.length === search.limit) {
        nextBefore = position + 1;
        break;
      }
      detail.push(deductionOf(task, account));
    }
    const cursor = nextBefore === undefined ? '' : writeCursor(search, nextBefore);
    const data = { result: { detail, count: detail.length }, next_cursor: cursor, has_more: nextBefore !== undefined };
    return sendJson(reply, 200, envelope(data));
  });

  app.post('/account/billing/balance', { config: { kind: 'billing' } }, (request, reply) => {
    parseTaskSearch({ limit: 500, ...parseBody(request.body), filters: [] }, nowMs());
    // Everything here is paid from the pack, so no cash ever moves.
    return sendJson(reply, 200, envelope({ result: { detail: [], count: 0 }, next_cursor: '', has_more: false }));
  });
}

function packOf(state: State, account: AccountSettings, nowMs: number) {
  const usedMilliUnits = state.deductedMilliUnits.get(account.id) ?? 0;
  const remaining = account.units - usedMilliUnits / 1000;
  const effectiveMs = (state.bornAtMs ?? nowMs) - dayMs;
  return {
    resource_pack_name: packName(account),
    resource_pack_id: packIdOf(account),
    resource_pack_type: 'decreasing_total',
    total_quantity: account.units,
    remaining_quantity: remaining,
    purchase_time: effectiveMs,
    effective_time: effectiveMs,
    invalid_time: effectiveMs + 120 * 30 * dayMs,
    status: remaining > 0 ? 'online' : 'runOut',
  };
}

function packIdOf(account: AccountSettings): string {
  return seededHex(0, 'pack', account.id).slice(0, 32);
}

function deductionOf({ plan, updatedAtMs }: Task, account: AccountSettings): object {
  const { order } = plan;
  return {
    task_id: plan.id,
    api_key_name: account.id,
    product_function: 'text2video',
    model_name: getModel(order.version).standardName ?? order.version,
    resolution: resolutionOf[order.level],
    duration: String(order.durationSeconds),
    refer_video_input: false,
    video_sound: order.sound,
    voice_control: order.voice,
    deduction_time: String(updatedAtMs),
    package_id: packIdOf(account),
    product_type: 'video',
    deduction_amount: unitsText(plan.milliUnits),
  };
}
