import type { FastifyInstance } from 'fastify';
import type { AccountSettings } from '../accounts.ts';
import { packId, packName } from '../accounts.ts';
import { getModel } from '../catalog/models.ts';
import { unitsText } from '../catalog/prices.ts';
import { resolutionOf } from '../catalog/shape.ts';
import { newestFirst } from '../engine/look-up.ts';
import type { Task } from '../engine/task.ts';
import { Refusal } from '../wire/codes.ts';
import { envelope } from '../wire/envelope.ts';
import type { JsonObject } from '../wire/fields.ts';
import { field, invalidValue, isObject, parseBody } from '../wire/fields.ts';
import type { TaskSearch } from '../wire/task-search.ts';
import { parseTaskSearch, writeCursor } from '../wire/task-search.ts';
import type { AccountRouteParts } from './account-routes.ts';
import { accountOf, sendJson } from './call.ts';

const packageFilters = ['api_key_name', 'product_type', 'package_name', 'package_id'] as const;
type Deduction = ReturnType<typeof deductionOf>;

/** What was deducted, line by line (Kling package-billing and balance-billing pages). */
export function billingRoutes(app: FastifyInstance, { state, nowMs }: AccountRouteParts): void {
  app.post('/account/billing/package', { config: { kind: 'billing' } }, (request, reply) => {
    const account = accountOf(request);
    const body = parseBody(request.body);
    const search = readSearch(body, nowMs());
    const accepts = readFilters(body, packageFilters);
    const detail: Deduction[] = [];
    let nextBefore: number | undefined;
    for (const [task, position] of newestFirst(state, { accountId: account.id, nowMs: nowMs() }, search.before)) {
      if (task.status !== 'succeeded' || task.updatedAtMs < search.startMs || task.updatedAtMs > search.endMs) continue;
      const deduction = deductionOf(task, account);
      if (!accepts({ ...deduction, package_name: packName(account) })) continue;
      if (detail.length === search.limit) {
        nextBefore = position + 1;
        break;
      }
      detail.push(deduction);
    }
    const cursor = nextBefore === undefined ? '' : writeCursor(search, nextBefore);
    const data = { result: { detail, count: detail.length }, next_cursor: cursor, has_more: nextBefore !== undefined };
    return sendJson(reply, 200, envelope(data));
  });

  app.post('/account/billing/balance', { config: { kind: 'billing' } }, (request, reply) => {
    const body = parseBody(request.body);
    readSearch(body, nowMs());
    readFilters(body, ['api_key_name']);
    // Everything here is paid from the pack, so no cash ever moves.
    return sendJson(reply, 200, envelope({ result: { detail: [], count: 0 }, next_cursor: '', has_more: false }));
  });
}

/** Times are needed unless a cursor carries them. */
function readSearch(body: JsonObject, nowMs: number): TaskSearch {
  const { start_time: start, end_time: end, cursor, limit = 500 } = body;
  if (!cursor && (!start || !end)) throw new Refusal(1200, 'Missing Request Parameter');
  return parseTaskSearch({ start_time: start, end_time: end, cursor, limit }, nowMs);
}

function readFilters(body: JsonObject, keys: readonly string[]): (line: Record<string, unknown>) => boolean {
  const filters = (field(body, 'filters', 'array') ?? []).map((filter, index) => {
    const key = isObject(filter) ? filter['key'] : undefined;
    if (!isObject(filter) || typeof key !== 'string' || !keys.includes(key))
      throw invalidValue(`filters[${index}].key`, key ?? '');
    return { key, values: field(filter, 'values', 'array', `filters[${index}].values`) ?? [] };
  });
  const used = new Set(filters.map(({ key }) => key));
  if (used.has('package_name') && used.has('package_id')) {
    throw new Refusal(1201, 'only one of package_name and package_id is allowed');
  }
  return (line) => filters.every(({ key, values }) => values.includes(line[key]));
}

function deductionOf({ plan, updatedAtMs, deductedBeforeMilliUnits = 0 }: Task, account: AccountSettings) {
  const { order, milliUnits } = plan;
  const beforeMilliUnits = account.units * 1000 - deductedBeforeMilliUnits;
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
    package_id: packId(account),
    product_type: 'video',
    unit_before_deduction: unitsText(beforeMilliUnits),
    deduction_amount: unitsText(milliUnits),
    unit_after_deduction: unitsText(beforeMilliUnits - milliUnits),
  };
}
