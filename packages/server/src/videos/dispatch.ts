/**
 * Dispatch: a free slot and the fairest next video become an attempt, in one transaction with the message that starts it
 * (docs/guarantees.md). Safe to run in every process at once: the family's row is locked by waiting, because a dispatch
 * that gave up on a held lock would lose the wake-up it was called for.
 */
import { sql, type Transaction } from 'kysely';
import { databaseNow } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction, type TransactionContext } from '../db/transaction.ts';
import { generationFor, toWire } from '../catalog/wire.ts';
import { createId } from '../kernel/ids.ts';
import type { Message } from '../queue/queue.ts';
import { parseFamilyId, type Family } from '../scheduling/families.ts';
import { chooseFlow, startInFlow } from '../scheduling/flows.ts';
import { freeSlot, mayStart, takeSlot, type TakenSlot } from '../scheduling/slots.ts';
import type { VideosContext } from './context.ts';
import { moveVideo } from './move.ts';
import { publishWith } from './publish.ts';
import { storedRequest, type VideoRow } from './records.ts';

/** Starts that one transaction makes at most, so that its locks stay short. */
const startsPerTransaction = 16;

/** Starts whatever can start in a family. @returns how many attempts it made */
export async function dispatchFamily(context: VideosContext, familyId: string): Promise<number> {
  let started = 0;
  for (;;) {
    if (!(await mayStart(context.database.kysely, parseFamilyId(familyId)))) return started;
    const count = await inTransaction(context.database, (transaction) => dispatchSome(context, transaction, familyId));
    started += count;
    if (count < startsPerTransaction) return started;
  }
}

async function dispatchSome(
  context: VideosContext,
  transaction: TransactionContext,
  familyId: string,
): Promise<number> {
  const { trx, afterCommit } = transaction;
  // Not FOR UPDATE: creates hold a key share of the row by their foreign key, and neither has to wait for the other.
  const row = await trx
    .selectFrom('families')
    .select('id')
    .where('id', '=', familyId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (!row) return 0;
  const family = parseFamilyId(familyId);
  const messages: Message[] = [];
  while (messages.length < startsPerTransaction) {
    const message = await startOne(context, trx, familyId, family);
    if (!message) break;
    messages.push(message);
  }
  if (messages.length > 0) {
    await publishWith(context, transaction, messages);
    afterCommit(() => context.events.notify());
  }
  return messages.length;
}

async function startOne(
  context: VideosContext,
  trx: Transaction<Tables>,
  familyId: string,
  family: Family,
): Promise<Message | undefined> {
  const slot = await takeSlot(trx, family);
  if (!slot) return undefined;
  const skip: string[] = [];
  for (;;) {
    const flow = await chooseFlow(trx, familyId, skip);
    const video = flow && (await lockHead(trx, familyId, flow.workspaceId));
    if (video) {
      const attemptId = await start(context, trx, slot, video);
      return { kind: 'submit', id: attemptId, workspaceId: video.workspace_id };
    }
    if (!flow) break;
    skip.push(flow.workspaceId);
  }
  await freeSlot(trx, slot.poolId);
  return undefined;
}

/** The flow's next video; one that is being canceled at this moment, or whose time has passed, is passed over. */
function lockHead(trx: Transaction<Tables>, familyId: string, workspaceId: string): Promise<VideoRow | undefined> {
  return trx
    .selectFrom('videos')
    .selectAll()
    .where('family_id', '=', familyId)
    .where('workspace_id', '=', workspaceId)
    .where('state', '=', 'queued')
    .where(sql<boolean>`(start_before is null or start_before > dailies_now())`)
    .orderBy('priority', 'desc')
    .orderBy('accepted_at')
    .orderBy('id')
    .limit(1)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst();
}

async function start(
  context: VideosContext,
  trx: Transaction<Tables>,
  slot: TakenSlot,
  video: VideoRow,
): Promise<string> {
  const number = video.attempt_number + 1;
  const flow = { familyId: video.family_id, workspaceId: video.workspace_id };
  const cost = await startInFlow(trx, flow, video.expected_ms, video.expected_ms);
  const attemptId = await insertAttempt(context, trx, { slot, video, number, cost });
  const moved = await moveVideo(context, trx, {
    videoId: video.id,
    to: 'submitting',
    attemptNumber: video.attempt_number,
    set: { attempt_number: number, started_at: sql<Date>`coalesce(started_at, dailies_now())` },
    data: { attempt: number },
  });
  if (!moved) throw new Error(`video ${video.id} was locked in queued and could not be moved`);
  return attemptId;
}

/** Writes the attempt with where it goes and what it sends: pinned from now on. */
async function insertAttempt(
  context: VideosContext,
  trx: Transaction<Tables>,
  start: { readonly slot: TakenSlot; readonly video: VideoRow; readonly number: number; readonly cost: number },
): Promise<string> {
  const { slot, video, number } = start;
  const request = storedRequest(video);
  const generation = generationFor(request, slot.generations);
  if (!generation) throw new Error(`account ${slot.accountId} cannot carry video ${video.id}`);
  const id = createId('attempt');
  const externalTaskId = `${video.id}-${number}`;
  const wire = toWire(request, generation, { externalTaskId, callbackUrl: context.callbackUrl(id) });
  await trx
    .insertInto('attempts')
    .values({
      id,
      video_id: video.id,
      number,
      external_task_id: externalTaskId,
      state: 'intended',
      account_id: slot.accountId,
      pool_id: slot.poolId,
      family_id: video.family_id,
      workspace_id: video.workspace_id,
      host: slot.host,
      generation,
      path: wire.path,
      body: JSON.stringify(wire.body),
      task_id: null,
      provider_status: null,
      provider_request_id: null,
      expected_ms: video.expected_ms,
      fairness_cost: start.cost,
      due_at: databaseNow,
      published_at: databaseNow,
      created_at: databaseNow,
    })
    .execute();
  return id;
}
