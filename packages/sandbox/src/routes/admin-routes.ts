import type { FastifyInstance } from 'fastify';
import type { SandboxEvent } from '../engine/events.ts';
import type { State } from '../engine/state.ts';
import { readStats } from '../engine/stats.ts';
import type { Task } from '../engine/task.ts';
import { FaultRequestError, parseFaultRule } from '../faults/parse-rule.ts';
import { faultCatalogue } from '../faults/catalogue.ts';
import { unitsText } from '../catalog/prices.ts';
import { sendJson } from './call.ts';

export interface AdminRouteParts {
  readonly state: State;
  nowMs(): number;
  record(event: SandboxEvent): void;
  reset(): Promise<void>;
}

type Query = { Querystring: Record<string, unknown> };

/** Looking into the sandbox and scripting it; no part of Kling's API, needs no credentials. */
export function adminRoutes(app: FastifyInstance, { state, nowMs, record, reset }: AdminRouteParts): void {
  app.get('/_sandbox/stats', (_request, reply) => sendJson(reply, 200, JSON.stringify(readStats(state, nowMs()))));

  app.get<Query>('/_sandbox/tasks', (request, reply) => {
    const { status, external_id: externalId, limit } = request.query;
    const tasks = [...state.tasks.values()].reverse();
    const wanted = tasks.filter(
      (task) =>
        (status === undefined || task.status === status) &&
        (externalId === undefined || task.plan.order.externalId === externalId),
    );
    return sendJson(reply, 200, JSON.stringify(wanted.slice(0, readLimit(limit)).map(showTask)));
  });

  app.get<Query>('/_sandbox/calls', (request, reply) => {
    const { kind, limit } = request.query;
    const calls = kind === undefined ? state.calls : state.calls.filter((call) => call.kind === kind);
    return sendJson(reply, 200, JSON.stringify(calls.slice(-readLimit(limit)).reverse()));
  });

  app.get('/_sandbox/faults', (_request, reply) => {
    const rules = [...state.rules.values()].map(({ rule, used }) => ({ ...rule, used }));
    const known = Object.fromEntries([...faultCatalogue].map(([name, { phase, text }]) => [name, { phase, text }]));
    return sendJson(reply, 200, JSON.stringify({ rules, known }));
  });

  app.post('/_sandbox/faults', (request, reply) => {
    try {
      const rule = parseFaultRule(request.body, Math.max(0, ...state.rules.keys()) + 1);
      record({ t: 'rule', rule });
      return sendJson(reply, 201, JSON.stringify(rule));
    } catch (error) {
      if (!(error instanceof FaultRequestError)) throw error;
      return sendJson(reply, 400, JSON.stringify({ error: error.message }));
    }
  });

  app.delete('/_sandbox/faults', (_request, reply) => {
    record({ t: 'rules_cleared' });
    return reply.code(204).send();
  });

  app.post('/_sandbox/reset', async (_request, reply) => {
    await reset();
    return reply.code(204).send();
  });
}

function readLimit(value: unknown): number {
  const limit = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : 1_000;
  return Math.max(1, limit);
}

function showTask({ plan, status, updatedAtMs }: Task): object {
  const { id, accountId, order, createdAtMs, endsAtMs, milliUnits, faults, reason } = plan;
  return {
    id,
    status,
    account: accountId,
    generation: order.generation,
    model: order.version,
    external_id: order.externalId ?? null,
    prompt: order.prompt,
    level: order.level,
    duration: order.durationSeconds,
    aspect_ratio: order.aspectRatio,
    sound: order.sound,
    callback_url: order.callbackUrl ?? null,
    created_at: createdAtMs,
    updated_at: updatedAtMs,
    ends_at: endsAtMs,
    units: unitsText(milliUnits),
    deducted: status === 'succeeded' ? unitsText(milliUnits) : '0',
    message: status === 'failed' ? reason : '',
    faults: faults.map(({ name }) => name),
  };
}
