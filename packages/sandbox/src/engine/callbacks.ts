import { seededHex } from '../random.ts';
import type { Settings } from '../options.ts';
import type { FileUrls } from '../files/file-urls.ts';
import { callbackRecord } from '../wire/records.ts';
import type { Delivery } from './deliveries.ts';
import { createDeliveries } from './deliveries.ts';
import type { CallbackOutcome, SandboxEvent } from './events.ts';
import type { Task, TaskPlan } from './task.ts';
import { hasFault, isFinal } from './task.ts';

export interface Callbacks {
  /** Sends the callback of the state that the task has just reached, unless a fault says otherwise. Never throws. */
  announce(task: Task): void;
  /** For `callback_early`: sends the final callback now; resolves when it was answered or given up. */
  announceEarly(task: Task): Promise<void>;
  /** Cuts deliveries short and waits for them to let go. */
  close(): Promise<void>;
  /** Forgets what is waiting; deliveries under way end by themselves. */
  reset(): void;
}

export interface CallbackParts {
  readonly settings: Settings;
  readonly urls: FileUrls;
  nowMs(): number;
  record(event: SandboxEvent): void;
}

/** The final callback of a task may not wait for the retries of an earlier one, but for its first try. */
export function createCallbacks({ settings, urls, nowMs, record }: CallbackParts): Callbacks {
  const count = (outcome: CallbackOutcome): void => record({ t: 'callback', outcome });
  const deliveries = createDeliveries({ settings, nowMs, count });
  /** The latest first try per task, so that a task's callbacks leave in order. */
  const tails = new Map<string, Promise<void>>();
  /** What `callback_reordered` keeps back until the end, the latest first. */
  const held = new Map<string, readonly Delivery[]>();

  function enqueue(task: Task, batch: readonly Delivery[]): void {
    const { id } = task.plan;
    const run = async (): Promise<void> => {
      for (const delivery of batch) await deliveries.deliver(delivery);
    };
    const tail = (tails.get(id) ?? Promise.resolve()).then(run);
    tails.set(id, tail);
    deliveries.track(
      tail.then(() => {
        if (tails.get(id) === tail) tails.delete(id);
      }),
    );
  }

  function deliveryOf(task: Task, url: string, moment: string, own: Partial<Delivery> = {}): Delivery {
    const id = BigInt(`0x${seededHex(settings.seed, `webhook-${moment}`, task.plan.id).slice(0, 14)}`).toString();
    return { url, id, body: JSON.stringify(callbackRecord(task, urls)), secrets: settings.webhookSecrets, ...own };
  }

  function forged(task: Task, url: string): Delivery {
    const body = JSON.stringify(
      callbackRecord(asEnded(task, 'succeeded', nowMs()), { ...urls, urlOf: () => foreignFile }),
    );
    return deliveryOf(task, url, 'forged', { body, secrets: settings.webhookSecrets.map(() => foreignSecret) });
  }

  /** What one transition sends: the callback itself, and what its faults add. */
  function batchOf(task: Task, url: string): readonly Delivery[] {
    const delivery = deliveryOf(task, url, task.status);
    const isDoubled = hasFault(task, 'callback_doubled');
    const isForged = hasFault(task, 'callback_forged') && task.status === 'submitted';
    if (isDoubled) count('doubled');
    if (isForged) count('forged');
    return [delivery, ...(isDoubled ? [delivery] : []), ...(isForged ? [forged(task, url)] : [])];
  }

  return {
    announce(task) {
      const { callbackUrl: url } = task.plan.order;
      if (!url || deliveries.isClosed) return;
      if (hasFault(task, 'callback_lost')) return count('lost');
      const batch = batchOf(task, url);
      if (!hasFault(task, 'callback_reordered')) return enqueue(task, batch);
      const waiting = [...batch, ...(held.get(task.plan.id) ?? [])];
      held.set(task.plan.id, waiting);
      if (!isFinal(task.status)) return;
      count('reordered');
      held.delete(task.plan.id);
      enqueue(task, waiting);
    },
    async announceEarly(task) {
      const { callbackUrl: url } = task.plan.order;
      if (!url) return;
      count('early');
      const body = JSON.stringify(callbackRecord(asEnded(task, task.plan.outcome, nowMs()), urls));
      await deliveries.deliverOnce(deliveryOf(task, url, 'early', { body }));
    },
    close: deliveries.close,
    reset: () => held.clear(),
  };
}

const foreignFile = 'https://files.example.net/forged.mp4';
const foreignSecret = `whsec_${Buffer.from('somebody-else-signed-this').toString('base64')}`;

function asEnded(task: Task, status: TaskPlan['outcome'], nowMs: number): Task {
  return { ...task, status, updatedAtMs: nowMs };
}
