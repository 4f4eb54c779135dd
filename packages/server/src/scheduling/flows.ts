/**
 * Start-time fair queueing between workspaces, counted in slot-seconds (docs/guarantees.md). A flow is one workspace
 * in one family. `queued` and `in_flight` are exact, because they move in the transaction that moves the video; so a
 * flow is eligible exactly while it has work that may start, and no wake-up is lost.
 */
import { sql, type RawBuilder, type Transaction } from 'kysely';
import type { Tables } from '../db/tables.ts';

export interface FlowKey {
  readonly familyId: string;
  readonly workspaceId: string;
}

/** The change that counts a video into its flow's backlog, for `hold`: the row is hot, and locked after the budget's. */
export function enteringFlow(flow: FlowKey, expectedMs: number): RawBuilder<unknown> {
  return flowChange(flow, sql`queued = queued + 1, queued_slot_ms = queued_slot_ms + ${expectedMs}`);
}

/** Takes a video that was never started out of the backlog. */
export async function leaveFlow(trx: Transaction<Tables>, flow: FlowKey, expectedMs: number): Promise<void> {
  await moveFlow(trx, flow, sql`queued = queued - 1, queued_slot_ms = greatest(queued_slot_ms - ${expectedMs}, 0)`);
}

/**
 * The eligible flow that has had least, by virtual finish time; its row is locked. Callers hold the family's lock.
 * @param skip workspaces whose head could not be locked in this turn
 */
export async function chooseFlow(
  trx: Transaction<Tables>,
  familyId: string,
  skip: readonly string[],
): Promise<{ readonly workspaceId: string } | undefined> {
  let query = trx
    .selectFrom('flows')
    .select('workspace_id as workspaceId')
    .where('family_id', '=', familyId)
    .where('eligible', '=', true)
    .orderBy('vfinish')
    .orderBy('workspace_id')
    .limit(1)
    .forUpdate();
  if (skip.length > 0) query = query.where('workspace_id', 'not in', skip);
  return query.executeTakeFirst();
}

/**
 * Charges a start to the flow: start = max(family time, the flow's last finish); the family's time becomes that start.
 * @param expectedMs expected time on the slot
 * @returns what was charged, in slot-seconds, for `finishInFlow` and `refundFlow`
 */
export async function startInFlow(
  trx: Transaction<Tables>,
  flow: FlowKey,
  expectedMs: number,
  queuedMs: number,
): Promise<number> {
  const cost = expectedMs / 1000;
  await trx
    .with('started', (cte) =>
      cte
        .updateTable('flows as flow')
        .from('families as family')
        .set({
          vfinish: sql`greatest(family.vtime, flow.vfinish) + ${cost}::float8 / flow.weight`,
          queued: sql`flow.queued - 1`,
          queued_slot_ms: sql`greatest(flow.queued_slot_ms - ${queuedMs}, 0)`,
          in_flight: sql`flow.in_flight + 1`,
        })
        .whereRef('family.id', '=', 'flow.family_id')
        .where('flow.family_id', '=', flow.familyId)
        .where('flow.workspace_id', '=', flow.workspaceId)
        .returning(sql<number>`flow.vfinish - ${cost}::float8 / flow.weight`.as('start')),
    )
    .updateTable('families')
    .from('started')
    .set({ vtime: sql`greatest(vtime, started.start)` })
    .where('families.id', '=', flow.familyId)
    .execute();
  return cost;
}

/** Corrects the charge at the end of a task by what it really took. */
export async function finishInFlow(
  trx: Transaction<Tables>,
  flow: FlowKey,
  charged: number,
  actualMs: number,
): Promise<void> {
  await moveFlow(
    trx,
    flow,
    sql`in_flight = greatest(in_flight - 1, 0), vfinish = vfinish + ${actualMs / 1000 - charged}::float8 / weight`,
  );
}

/** Takes back a start that bought nothing: the video is queued again and the flow has lost nothing by it. */
export async function refundFlow(
  trx: Transaction<Tables>,
  flow: FlowKey,
  charged: number,
  requeuedMs: number | null,
): Promise<void> {
  const queued = requeuedMs === null ? 0 : 1;
  await moveFlow(
    trx,
    flow,
    sql`in_flight = greatest(in_flight - 1, 0), vfinish = vfinish - ${charged}::float8 / weight,
      queued = queued + ${queued}, queued_slot_ms = queued_slot_ms + ${requeuedMs ?? 0}`,
  );
}

async function moveFlow(trx: Transaction<Tables>, flow: FlowKey, change: RawBuilder<unknown>): Promise<void> {
  await flowChange(flow, change).execute(trx);
}

function flowChange(flow: FlowKey, change: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`update flows set ${change} where family_id = ${flow.familyId} and workspace_id = ${flow.workspaceId}`;
}
