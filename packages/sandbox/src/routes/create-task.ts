import type { FastifyReply, FastifyRequest } from 'fastify';
import { pause } from '../clock.ts';
import type { Callbacks } from '../engine/callbacks.ts';
import type { Engine } from '../engine/engine.ts';
import type { Task } from '../engine/task.ts';
import { hasFault } from '../engine/task.ts';
import { GatewayFault, Refusal } from '../wire/codes.ts';
import { envelope } from '../wire/envelope.ts';
import type { Order } from '../wire/order.ts';
import { accountOf, cut, sendJson } from './call.ts';

export interface CreateParts {
  readonly engine: Engine;
  readonly callbacks: Callbacks;
  /** Ends held-back answers when the sandbox closes. */
  readonly signal: AbortSignal;
}

const slowMs = 5_000;

/**
 * The common end of both creates: makes the task, then answers, or spoils the answer as its faults demand. The task is in
 * the journal before any byte of the answer leaves.
 */
export async function createTask(
  { engine, callbacks, signal }: CreateParts,
  request: FastifyRequest,
  reply: FastifyReply,
  { order, show }: { order: Order; show: (task: Task) => object },
): Promise<FastifyReply | void> {
  const { call } = request;
  call.externalId = order.externalId;
  const { task, repeated } = engine.create(accountOf(request), order);
  call.taskId = task.plan.id;
  // The later states must not show in an answer to this create, however late it leaves.
  const body = envelope(show(task));
  if (repeated) return sendJson(reply, 200, body);
  if (hasFault(task, 'callback_early')) await callbacks.announceEarly(task);
  const slow = task.plan.faults.find(({ name }) => name === 'slow_headers');
  const spoiling = task.plan.faults.find(({ name }) => isSpoiling(name))?.name;
  call.fault = spoiling ?? slow?.name;
  if (slow) await pause(slow.delayMs ?? slowMs, signal);
  if (spoiling === 'answer_lost') return cut(reply);
  if (spoiling === 'accepted_5002') throw new Refusal(5002);
  if (spoiling === 'accepted_html_502') throw new GatewayFault('html_502');
  call.code = 0;
  return sendJson(reply, 200, body);
}

function isSpoiling(name: string): boolean {
  return name === 'answer_lost' || name === 'accepted_5002' || name === 'accepted_html_502';
}
