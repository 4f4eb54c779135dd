import type { FastifyInstance } from 'fastify';
import type { AccountSettings } from '../accounts.ts';
import { packId, packName } from '../accounts.ts';
import type { State } from '../engine/state.ts';
import { Refusal } from '../wire/codes.ts';
import { envelope } from '../wire/envelope.ts';
import { readTime } from '../wire/task-search.ts';
import { accountOf, sendJson } from './call.ts';

export interface AccountRouteParts {
  readonly state: State;
  nowMs(): number;
}

const dayMs = 86_400_000;

/** Packs and what is left of them (Kling account-usage page). Numbers are exact here; at Kling they lag by hours. */
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
}

function packOf(state: State, account: AccountSettings, nowMs: number) {
  const usedMilliUnits = state.deductedMilliUnits.get(account.id) ?? 0;
  const remaining = account.units - usedMilliUnits / 1000;
  const effectiveMs = (state.bornAtMs ?? nowMs) - dayMs;
  return {
    resource_pack_name: packName(account),
    resource_pack_id: packId(account),
    resource_pack_type: 'decreasing_total',
    total_quantity: account.units,
    remaining_quantity: remaining,
    purchase_time: effectiveMs,
    effective_time: effectiveMs,
    invalid_time: effectiveMs + 120 * 30 * dayMs,
    status: remaining > 0 ? 'online' : 'runOut',
  };
}
