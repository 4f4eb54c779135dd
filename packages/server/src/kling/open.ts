import { z } from 'zod';
import type { Clock } from '../kernel/clock.ts';
import { AccountNotConfiguredError } from './account-not-configured-error.ts';
import { succeededData } from './answer.ts';
import { parseCallback } from './callback-hint.ts';
import { createCalls } from './calls.ts';
import type { KlingCall, Skew } from './calls.ts';
import { generationsOf } from './credentials.ts';
import type { CallOptions, CreateAnswer, KlingAccount, KlingApi, LookAnswer, TaskReference } from './kling-api.ts';
import { createLegacyLookUps } from './legacy.ts';
import type { Asking } from './look-up.ts';
import { neverAsked, unusable } from './look-up.ts';
import { listPacks } from './packs.ts';
import { createStandardLookUps } from './standard.ts';
import { createTransport } from './transport.ts';

export interface KlingApiDeps {
  readonly accounts: readonly KlingAccount[];
  readonly clock: Clock;
  /** Receives one flat line per exchange with Kling: never a body, a token or a URL. */
  readonly log?: (line: object) => void;
  /** Told when Kling's clock is found to differ from ours (AK/SK accounts only: an API key carries no time). */
  readonly onSkew?: (skew: Skew) => void;
  /** Told of every exchange with Kling, for counting; must not throw. */
  readonly onCall?: (call: KlingCall) => void;
}

const createdTask = z.object({ task_id: z.string().min(1).nullish(), id: z.string().min(1).nullish() });

/** The Kling client for the configured accounts. Calls for another account throw `AccountNotConfiguredError`. */
export function createKlingApi({ accounts, clock, log, onSkew, onCall }: KlingApiDeps): KlingApi {
  const transport = createTransport(clock);
  const calls = createCalls({
    transport,
    clock,
    ...(log && { log }),
    ...(onSkew && { onSkew }),
    ...(onCall && { onCall }),
  });
  const standard = createStandardLookUps(calls, log);
  const legacy = createLegacyLookUps(calls, log);

  function accountOf(accountId: string): KlingAccount {
    const account = accounts.find((candidate) => candidate.id === accountId);
    if (!account) throw new AccountNotConfiguredError(accountId, 'account');
    if (generationsOf(account).length === 0) throw new AccountNotConfiguredError(accountId, 'credentials');
    return account;
  }

  function asking(account: KlingAccount, host: string, { signal, timeoutMs }: CallOptions): Asking {
    return { account, host, signal, deadlineMs: clock.monotonicMs() + timeoutMs };
  }

  async function createTask(call: Parameters<KlingApi['createTask']>[0], options: CallOptions): Promise<CreateAnswer> {
    const account = accountOf(call.accountId);
    if (!generationsOf(account).includes(call.generation)) throw new AccountNotConfiguredError(account.id, 'API key');
    const who = asking(account, call.host, options);
    const answer = await calls.create({ ...who, method: 'POST', path: call.path, body: call.body });
    const created = createdTask.safeParse(succeededData(answer));
    const taskId = created.success ? (created.data.task_id ?? created.data.id) : undefined;
    if (taskId) return { kind: 'accepted', taskId, requestId: answer.requestId };
    return { kind: 'failed', failure: unusable(answer, 'Kling accepted the request without a readable task id') };
  }

  async function look(references: readonly TaskReference[], who: Asking): Promise<LookAnswer[]> {
    if (!who.account.apiKey) {
      const inReach = references.filter(({ generation }) => generation === 'legacy');
      const byPath = new Map((await legacy.look(inReach, who)).map((answer, index) => [inReach[index], answer]));
      return references.map((reference) => byPath.get(reference) ?? outOfReach);
    }
    const answers = await standard.look(references, who);
    // The new standard shows legacy tasks too, but only the path that created one may say that it does not exist.
    const again = references.filter((reference, index) => isOpen(reference, answers[index]));
    if (again.length === 0) return answers;
    const byPath = new Map((await legacy.look(again, who)).map((answer, index) => [again[index], answer]));
    return answers.map((answer, index) => byPath.get(references[index]) ?? answer);
  }

  return {
    createTask,
    async getTasks(references, options) {
      const answers = new Map<TaskReference, LookAnswer>();
      const groups = Map.groupBy(references, ({ accountId, host }) => `${accountId} ${host}`);
      for (const group of groups.values()) {
        const [first] = group;
        if (!first) continue;
        const found = await look(group, asking(accountOf(first.accountId), first.host, options));
        for (const [index, reference] of group.entries()) {
          const answer = found[index];
          if (answer) answers.set(reference, answer);
        }
      }
      return references.flatMap((reference) => answers.get(reference) ?? []);
    },
    async *listTasks(accountId, span, options) {
      const account = accountOf(accountId);
      const walk = account.apiKey ? standard : legacy;
      yield* walk.list(span, () => asking(account, account.host, options));
    },
    async listPacks(accountId, options) {
      const account = accountOf(accountId);
      return listPacks(calls, asking(account, account.host, options), clock.wallMs());
    },
    parseCallback,
    close: () => transport.close(),
  };
}

/** Such a task of an account waits for its key; the others of the same account are still asked for. */
const outOfReach = neverAsked('not asked: the account has no API key, which tasks of the new standard need');

/** Not found, or the host does not have the new standard at all (the old global host answers 404). */
function isOpen(reference: TaskReference, answer: LookAnswer | undefined): boolean {
  if (reference.generation !== 'legacy' || !answer || answer.kind === 'found') return false;
  return answer.kind === 'not_found' || answer.failure.httpStatus === 404;
}
