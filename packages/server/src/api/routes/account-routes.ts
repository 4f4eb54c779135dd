import * as z from 'zod';
import { publicModel } from '../../catalog/public-models.ts';
import { credits, creditsToNumber } from '../../kernel/money.ts';
import type { BudgetRecord } from '../../budget/budgets.ts';
import { workspaceOf } from '../authenticate.ts';
import { strictQuery } from '../mistakes.ts';
import { problems } from '../route-parts.ts';
import { budgetBodySchema, budgetSchema } from '../schemas/money-schemas.ts';
import { poolListSchema } from '../schemas/pool-schema.ts';
import type { RouteContext, ZodApp } from './route-context.ts';

const getBudgetRoute = {
  schema: {
    operationId: 'getBudget',
    summary: 'The limit, and what is held and spent',
    tags: ['money'],
    querystring: strictQuery({}),
    response: { 200: budgetSchema, ...problems(401) },
  },
};

const setBudgetRoute = {
  schema: {
    operationId: 'setBudget',
    summary: 'Set or remove the limit; the next create obeys it',
    tags: ['money'],
    body: budgetBodySchema,
    response: { 200: budgetSchema, ...problems(400, 401, 413, 415) },
  },
};

const listModelsRoute = {
  schema: {
    operationId: 'listModels',
    summary: 'Every model, what it takes and what it costs',
    tags: ['catalog'],
    querystring: strictQuery({}),
    response: { 200: z.object({ data: z.array(publicModel) }).meta({ id: 'ModelList' }), ...problems(401) },
  },
};

const listPoolsRoute = {
  schema: {
    operationId: 'listPools',
    summary: 'Slots at Kling: how many there are and how many are busy',
    tags: ['capacity'],
    querystring: strictQuery({}),
    response: { 200: poolListSchema, ...problems(401) },
  },
};

/** Money, models and capacity. */
export function addAccountRoutes(app: ZodApp, { budgets, models, listPools }: RouteContext): void {
  app.get('/api/budget', getBudgetRoute, async (request) => answerBudget(await budgets.get(workspaceOf(request))));

  app.put('/api/budget', setBudgetRoute, async (request) => {
    const { limit_credits: limit } = request.body;
    return answerBudget(await budgets.setLimit(workspaceOf(request), limit === null ? null : credits(limit)));
  });

  app.get('/api/models', listModelsRoute, async () => ({ data: [...models] }));

  app.get('/api/pools', listPoolsRoute, async () => ({
    data: (await listPools()).map((pool) => ({
      id: pool.id,
      account_id: pool.accountId,
      model: pool.model,
      pack_type: pool.packType,
      capacity: pool.capacity,
      effective: pool.effective,
      in_use: pool.inUse,
      paused: pool.paused && { reason: pool.paused.reason, since: pool.paused.since.toISOString() },
    })),
  }));
}

function answerBudget(budget: BudgetRecord): z.infer<typeof budgetSchema> {
  return {
    scope: budget.scope,
    period: budget.period,
    limit_credits: budget.limit === null ? null : creditsToNumber(budget.limit),
    held_credits: creditsToNumber(budget.held),
    captured_credits: creditsToNumber(budget.captured),
    available_credits: budget.available === null ? null : creditsToNumber(budget.available),
  };
}
