import type { Clock } from '../kernel/clock.ts';
import { pause } from '../kernel/clock.ts';
import { backoffMs } from '../kernel/retry.ts';
import { AccountNotConfiguredError } from './account-not-configured-error.ts';
import { readAnswer } from './answer.ts';
import type { Answer } from './answer.ts';
import { createTokens } from './jwt.ts';
import type { Tokens } from './jwt.ts';
import type { KlingAccount } from './kling-api.ts';
import { reactionTo } from './reactions.ts';
import type { Transport } from './transport.ts';

/** Kling's clock differs from ours. */
export interface Skew {
  readonly accountId: string;
  /** How far Kling's clock is ahead, in milliseconds; 0 when they agree again. */
  readonly skewMs: number;
}

export interface CallsDeps {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Receives one flat line per exchange: never a body, a token or a URL. */
  readonly log?: (line: object) => void;
  readonly onSkew?: (skew: Skew) => void;
  /** Told of every exchange, for counting; must not throw. */
  readonly onCall?: (call: KlingCall) => void;
}

/** One exchange with Kling. */
export interface KlingCall {
  readonly method: 'GET' | 'POST';
  /** May carry the id of a task. */
  readonly path: string;
  readonly httpStatus: number | null;
  readonly code: number | null;
  readonly ms: number;
}

/** One authorised request of an account. */
export interface Call {
  readonly account: KlingAccount;
  readonly host: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Without `?`. */
  readonly query?: string;
  readonly body?: unknown;
  readonly signal: AbortSignal;
  /** On `Clock.monotonicMs`. */
  readonly deadlineMs: number;
}

/** Authorised calls. Both give an answer for everything that Kling and the network can do. */
export interface Calls {
  /** Sent once, and once more only when Kling refused the token itself as too early or too late. */
  create(call: Call): Promise<Answer>;
  /** Repeated twice while the answer says nothing certain and the deadline allows it. Only for calls without effect. */
  read(call: Call): Promise<Answer>;
}

const readTries = 3;
const readTryMs = 10_000;
const readBackoff = { baseMs: 200, capMs: 1_000 };

export function createCalls({ transport, clock, log, onSkew, onCall }: CallsDeps): Calls {
  const tokensOf = new Map<string, Tokens>();

  function tokens({ id, apiKey, accessKey, secretKey }: KlingAccount): Tokens | undefined {
    if (apiKey || !accessKey || !secretKey) return undefined;
    const known = tokensOf.get(id) ?? createTokens(accessKey, secretKey, clock);
    tokensOf.set(id, known);
    return known;
  }

  async function exchange(call: Call): Promise<Answer> {
    const { account, host, method, path, query, body, signal, deadlineMs } = call;
    const signed = tokens(account);
    const bearer = account.apiKey?.reveal() ?? (await signed?.current());
    if (bearer === undefined) throw new AccountNotConfiguredError(account.id, 'credentials');
    const startedMs = clock.monotonicMs();
    const outcome = await transport.send({
      host,
      method,
      path: query === undefined ? path : `${path}?${query}`,
      headers: {
        authorization: `Bearer ${bearer}`,
        accept: 'application/json',
        'user-agent': 'dailies',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal,
      deadlineMs,
    });
    const answer = readAnswer(outcome, clock.wallMs(), secretsOf(account, bearer));
    const ms = clock.monotonicMs() - startedMs;
    log?.(lineOf(call, answer, ms));
    onCall?.({ method, path, httpStatus: answer.httpStatus, code: answer.code, ms });
    if (signed && answer.code !== null && answer.serverTimeMs !== null) learn(account.id, signed, answer.serverTimeMs);
    return answer;
  }

  function learn(accountId: string, signed: Tokens, serverTimeMs: number): void {
    const skewMs = signed.learn(serverTimeMs);
    if (skewMs === undefined) return;
    log?.({ event: 'kling_clock_skew', accountId, skewMs });
    onSkew?.({ accountId, skewMs });
  }

  async function signedTwice(call: Call): Promise<Answer> {
    const first = await exchange(call);
    const signed = tokens(call.account);
    if (!signed || !refusedToken(first)) return first;
    signed.forget();
    return exchange(call);
  }

  return {
    create: signedTwice,
    async read(call) {
      for (let tries = 1; ; tries++) {
        const deadlineMs = Math.min(call.deadlineMs, clock.monotonicMs() + readTryMs);
        const answer = await signedTwice({ ...call, deadlineMs });
        const waitMs = backoffMs(readBackoff, tries - 1, Math.random());
        const late = clock.monotonicMs() + waitMs >= call.deadlineMs;
        if (!learnedNothing(answer) || tries === readTries || late || call.signal.aborted) return answer;
        await pause(waitMs, call.signal);
      }
    },
  };
}

function lineOf(call: Call, answer: Answer, ms: number): object {
  const { httpStatus, code, requestId, message } = answer;
  const { account, method, path } = call;
  const line = {
    event: 'kling_call',
    accountId: account.id,
    method,
    path,
    httpStatus,
    code,
    requestId,
    ms: Math.round(ms),
  };
  return httpStatus === 200 && code === 0 ? line : { ...line, message };
}

/** 1003 and 1004 with their own status: Kling looked at the token and at nothing else. */
function refusedToken({ httpStatus, code }: Answer): boolean {
  return httpStatus === 401 && (code === 1003 || code === 1004);
}

function learnedNothing(answer: Answer): boolean {
  return !(answer.httpStatus === 200 && answer.code === 0) && reactionTo(answer) === 'doubt';
}

function secretsOf(account: KlingAccount, bearer: string): string[] {
  const secrets = [account.apiKey, account.accessKey, account.secretKey];
  return [bearer, ...secrets.flatMap((secret) => (secret ? [secret.reveal()] : []))];
}
