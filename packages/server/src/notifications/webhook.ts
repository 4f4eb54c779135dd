/** Notifications as HTTP calls in the form of Standard Webhooks (standardwebhooks.com). */
import { lookup } from 'node:dns/promises';
import { Agent, request } from 'undici';
import type { Clock } from '../kernel/clock.ts';
import { asError } from '../kernel/errors.ts';
import type { ResolvedAddress } from '../kernel/guarded-lookup.ts';
import type { Secret } from '../kernel/secret.ts';
import { isWebhookSecret } from '../kernel/standard-webhooks.ts';
import type { Notifier, OutgoingNotification, SendResult } from './notifier.ts';
import { webhookHeaders } from './webhook-signature.ts';
import { createTargetLookup, ForbiddenAddressError, judgeTarget } from './webhook-target.ts';

export interface WebhookOptions {
  /** `whsec_` and the Base64 of at least 16 bytes. */
  readonly secret: Secret;
  /** Whether `localhost` and its kin may be called, over plain http too: only where the user owns the machine. */
  readonly allowLoopback: boolean;
  /** From the first byte of the connection to the status line. */
  readonly timeoutMs?: number;
}

export interface WebhookDeps {
  readonly clock: Clock;
  /** All addresses of a host name; the system's resolver by default. */
  readonly resolve?: (host: string) => Promise<readonly ResolvedAddress[]>;
}

export interface WebhookNotifier extends Notifier {
  /** Ends calls under way; they may or may not have arrived. */
  close(): Promise<void>;
}

/** An answer's body is of no interest; this much is read so that the receiver sees an orderly end. */
const answerBytesMax = 16 * 1024;
const gone = 410;

/** @throws TypeError for an unusable secret */
export function createWebhookNotifier(options: WebhookOptions, deps: WebhookDeps): WebhookNotifier {
  const { secret, allowLoopback, timeoutMs = 10_000 } = options;
  if (!isWebhookSecret(secret.reveal()))
    throw new TypeError('The webhook secret must be `whsec_` and the Base64 of at least 16 bytes.');
  const resolve = deps.resolve ?? ((host) => lookup(host, { all: true }));
  const agents = {
    public: createAgent('public', timeoutMs, resolve),
    loopback: createAgent('loopback', timeoutMs, resolve),
  };

  return {
    async send(notification, signal) {
      signal.throwIfAborted();
      if (notification.url === null) throw new TypeError('A webhook needs an address.');
      const target = judgeTarget(notification.url, allowLoopback);
      if (target.kind === 'forbidden') return { outcome: 'refused', status: null, reason: target.reason };
      const timeout = AbortSignal.timeout(timeoutMs);
      try {
        const limit = AbortSignal.any([signal, timeout]);
        const status = await post(notification, target.url, agents[target.kind], limit);
        return judgeStatus(status, target.url.host);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const reason = timeout.aborted
          ? `${target.url.host} did not answer within ${timeoutMs / 1000} s.`
          : describeFailure(error, target.url.host);
        return { outcome: 'failed', status: null, reason };
      }
    },
    async close() {
      await Promise.all([agents.public.destroy(), agents.loopback.destroy()]);
    },
  };

  async function post(
    { id, payload, secrets = [secret] }: OutgoingNotification,
    url: URL,
    dispatcher: Agent,
    signal: AbortSignal,
  ): Promise<number> {
    const body = JSON.stringify(payload);
    // undici follows no redirect by itself: an address that was judged must not be traded for one that was not.
    const response = await request(url, {
      method: 'POST',
      dispatcher,
      signal,
      body,
      headers: {
        ...webhookHeaders(id, body, secrets, deps.clock.wallMs()),
        'content-type': 'application/json',
        'user-agent': 'dailies-webhook/1',
      },
    });
    // The status has decided already; a body that is endless, slow or broken changes nothing.
    await response.body.dump({ limit: answerBytesMax, signal }).catch(() => undefined);
    return response.statusCode;
  }
}

/** Deliveries to one host are rare: a connection each, so that none dies of old age while it is being used. */
function createAgent(
  kind: 'public' | 'loopback',
  timeoutMs: number,
  resolve: (host: string) => Promise<readonly ResolvedAddress[]>,
): Agent {
  return new Agent({ pipelining: 0, connect: { timeout: timeoutMs, lookup: createTargetLookup(kind, resolve) } });
}

function judgeStatus(status: number, host: string): SendResult {
  if (status >= 200 && status < 300) return { outcome: 'delivered', status };
  if (status === gone)
    return { outcome: 'refused', status, reason: `${host} answered 410: it wants no more webhooks.` };
  const redirect = status >= 300 && status < 400 ? '; redirects are not followed' : '';
  return { outcome: 'failed', status, reason: `${host} answered ${status}${redirect}.` };
}

/** What went wrong on the way, with the system's code and never with what was sent. */
function describeFailure(error: unknown, host: string): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ForbiddenAddressError) return cause.message;
  }
  const { name, code } = asError(error) as NodeJS.ErrnoException; // the code is only read
  return `${host} could not be reached (${code ?? name}).`;
}
