/** Accepting a video: validate -> price -> hold -> store, in one transaction, so that a 202 is a promise (invariant 2). */
import { createHash } from 'node:crypto';
import { type InsertObject } from 'kysely';
import { databaseNow } from '../db/now.ts';
import { totalPeriodStart } from '../budget/create-budgets.ts';
import { hold } from '../budget/ledger.ts';
import { priceOf } from '../catalog/price.ts';
import type { Generation } from '../catalog/request.ts';
import { validateRequest, type ValidRequest } from '../catalog/validate.ts';
import { packType } from '../catalog/wire.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction, type TransactionContext } from '../db/transaction.ts';
import type { BudgetRecord } from '../budget/budgets.ts';
import { AppError } from '../kernel/errors.ts';
import { createId } from '../kernel/ids.ts';
import { creditsToNumber, creditsToString, type Credits } from '../kernel/money.ts';
import { estimateStart } from '../scheduling/eta.ts';
import { familyId, type Family } from '../scheduling/families.ts';
import { enteringFlow } from '../scheduling/flows.ts';
import type { VideosContext } from './context.ts';
import { insertWithEvent } from './events.ts';
import { toQueueEstimate, toRecord } from './records.ts';
import type { Created, CreateOptions, Estimate, QueueEstimate } from './videos.ts';

/** A request that was judged and priced; nothing is stored yet. */
interface Quote {
  readonly valid: ValidRequest;
  readonly family: Family;
  readonly credits: Credits;
  readonly priceBasis: string;
  readonly expectedMs: number;
  readonly queue: QueueEstimate;
}

export async function estimateVideo(
  context: VideosContext,
  body: unknown,
  workspaceId: string,
  budget: BudgetRecord,
): Promise<Estimate> {
  const quote = await quoteVideo(context, body, workspaceId);
  const { credits, priceBasis, queue, valid } = quote;
  return { request: valid.request, credits, priceBasis, warnings: valid.warnings, queue, available: budget.available };
}

/**
 * @param retryOf the video that this one makes again
 * @param overBudget reads the budget for the message of a 402
 */
export async function createVideo(
  context: VideosContext,
  body: unknown,
  options: CreateOptions,
  more: { readonly retryOf: string | null; readonly overBudget: () => Promise<BudgetRecord> },
): Promise<Created> {
  const key = options.idempotencyKey;
  const fingerprint = fingerprintOf(body, more.retryOf);
  if (key !== null) {
    const replay = await findReplay(context, options.workspaceId, key, fingerprint);
    if (replay) return replay;
  }
  const quote = await quoteVideo(context, body, options.workspaceId);
  await context.flows.ensure(quote.family, options.workspaceId);
  const outcome = await inTransaction(context.database, (transaction) =>
    store(context, transaction, { quote, options, fingerprint, retryOf: more.retryOf }),
  ).catch((error: unknown) => {
    if (error instanceof Refused) return error.reason;
    throw error;
  });
  if (typeof outcome === 'object') return outcome;
  if (outcome === 'over_budget') throw overBudget(quote.credits, await more.overBudget());
  const replay = key === null ? undefined : await findReplay(context, options.workspaceId, key, fingerprint);
  if (replay) return replay;
  throw new AppError('unavailable', 'A request with the same Idempotency-Key was under way and failed; send it again.');
}

/** Rolls the transaction back for a reason that is an answer. */
class Refused extends Error {
  readonly reason: 'over_budget' | 'duplicate_key';
  constructor(reason: Refused['reason']) {
    super(reason);
    this.reason = reason;
  }
}

async function quoteVideo(context: VideosContext, body: unknown, workspaceId: string): Promise<Quote> {
  const { options, database } = context;
  const valid = validateRequest(body, {
    defaultModel: options.defaultModel,
    retiredModels: options.retiredModels,
    generations: await usableGenerations(context),
    nowMs: Date.now(),
  });
  const { request } = valid;
  const { credits, basis } = priceOf(request);
  const family = { provider: options.provider, model: request.model, packType, needs: valid.needs };
  const expectedMs = (await context.expectedOf(request)).p50Ms;
  const eta = await estimateStart(database.kysely, {
    family,
    workspaceId,
    videoId: null,
    priority: valid.extras.priority,
    acceptedAt: null,
    expectedMs,
  });
  return { valid, family, credits, priceBasis: basis, expectedMs, queue: toQueueEstimate(eta) };
}

async function usableGenerations(context: VideosContext): Promise<readonly Generation[] | null> {
  const { options } = context;
  const registered = await context.readGenerations();
  if (options.generations === null) return registered;
  return options.generations.filter((generation) => registered?.includes(generation) ?? true);
}

async function store(
  context: VideosContext,
  { trx, afterCommit }: TransactionContext,
  create: {
    readonly quote: Quote;
    readonly options: CreateOptions;
    readonly fingerprint: string;
    readonly retryOf: string | null;
  },
): Promise<Created> {
  const { quote, options } = create;
  const { workspaceId } = options;
  const { request, extras, warnings } = quote.valid;
  const amount = creditsToString(quote.credits);
  const family = familyId(quote.family);
  const id = createId('video');
  const values = {
    id,
    workspace_id: workspaceId,
    product: request.product,
    provider: context.options.provider,
    state: 'queued',
    model: request.model,
    request: JSON.stringify(request),
    warnings: JSON.stringify(warnings),
    metadata: JSON.stringify(extras.metadata),
    priority: extras.priority,
    webhook_url: extras.webhookUrl,
    start_before: extras.startBefore,
    family_id: family,
    expected_ms: quote.expectedMs,
    estimated_credits: amount,
    price_basis: quote.priceBasis,
    hold_credits: amount,
    budget_period_start: totalPeriodStart,
    event_seq: 1,
    retry_of: create.retryOf,
    accepted_at: databaseNow,
  } satisfies InsertObject<Tables, 'videos'>;
  const row = await insertWithEvent(trx, values, { job_id: id, status: 'queued' });
  const answer = options.render(toRecord(row, undefined, quote.queue));
  if (options.idempotencyKey !== null) {
    const inserted = await trx
      .insertInto('idempotency_keys')
      .values({
        workspace_id: workspaceId,
        key: options.idempotencyKey,
        fingerprint: create.fingerprint,
        video_id: row.id,
        answer: JSON.stringify(answer),
        created_at: databaseNow,
      })
      // Parallel copies wait here for the first one's commit, and then replay it.
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 0n) throw new Refused('duplicate_key');
  }
  const account = {
    videoId: row.id,
    workspaceId,
    provider: context.options.provider,
    periodStart: totalPeriodStart,
    attemptNumber: null,
  };
  // The two hottest rows come last, in the lock order of every transaction, and in one statement: no round trip lies between their locks.
  const entering = enteringFlow({ familyId: family, workspaceId }, quote.expectedMs);
  if (!(await hold(trx, account, quote.credits, entering))) throw new Refused('over_budget');
  afterCommit(() => {
    context.events.notify();
    context.requestDispatch([family]);
  });
  return { videoId: row.id, answer, replayed: false };
}

async function findReplay(
  context: VideosContext,
  workspaceId: string,
  key: string,
  fingerprint: string,
): Promise<Created | undefined> {
  const row = await context.database.kysely
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('workspace_id', '=', workspaceId)
    .where('key', '=', key)
    .executeTakeFirst();
  if (!row) return undefined;
  if (row.fingerprint !== fingerprint) {
    throw new AppError(
      'idempotency_key_reused',
      `The Idempotency-Key ${JSON.stringify(key)} was used with another body; use a new key for a new request.`,
      {
        data: {
          errors: [{ pointer: 'header:Idempotency-Key', detail: 'was used with another body in the last 24 hours' }],
        },
      },
    );
  }
  return { videoId: row.video_id, answer: row.answer, replayed: true };
}

/** Same JSON, same fingerprint: the order of members and white space do not count. */
function fingerprintOf(body: unknown, retryOf: string | null): string {
  return createHash('sha256')
    .update(JSON.stringify([sortMembers(body), retryOf]))
    .digest('hex');
}

function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, member]) => [name, sortMembers(member)]);
}

function overBudget(needed: Credits, budget: BudgetRecord): AppError {
  const { limit, available, held, captured } = budget;
  const number = (amount: Credits | null) => (amount === null ? null : creditsToNumber(amount));
  const text = (amount: Credits | null) => (amount === null ? 'no limit' : creditsToString(amount));
  const detail =
    `This video needs ${text(needed)} credits; left: ${text(available)} of a limit of ${text(limit)} ` +
    `(${text(held)} held, ${text(captured)} spent). ` +
    'Raise it with PUT /api/budget {"limit_credits": N} or `dailies budget set N`.';
  const data = {
    needed_credits: number(needed),
    available_credits: number(available),
    limit_credits: number(limit),
    held_credits: number(held),
    captured_credits: number(captured),
  };
  return new AppError('over_budget', detail, { data });
}
