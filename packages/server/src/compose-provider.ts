import { join } from 'node:path';
import type { Config } from './config.ts';
import type { ReleaseStack } from './kernel/release-stack.ts';
import type { KlingAccount } from './kling/kling-api.ts';

/** The built-in sandbox, with its own journal: it plays the outside world, so a restart finds it as it was. Null without one. */
export async function openSandbox(config: Config, stack: ReleaseStack): Promise<{ readonly url: string } | null> {
  if (!config.sandbox) return null;
  const { startSandbox } = await import('@dailies/sandbox');
  const dataDir = join(config.dataDirectory, 'sandbox');
  const { port, speed } = config.sandbox;
  const slots = config.kling.slotsPerPool;
  const sandbox = await startSandbox({ host: '127.0.0.1', port, speed, dataDir, ...(slots === null ? {} : { slots }) });
  stack.push('sandbox', () => sandbox.close());
  return sandbox;
}

/** Where the account is and with which credentials; null in a role that never talks to Kling. */
export async function resolveAccount(
  config: Config,
  sandbox: { readonly url: string } | null,
): Promise<KlingAccount | null> {
  const { id, apiKey, accessKey, secretKey } = config.account;
  if (config.role === 'api' || config.role === 'callbacks') return null;
  const host = sandbox?.url ?? config.account.host;
  if (host === null) throw new Error('there is neither Kling nor a sandbox to talk to');
  if (config.provider === 'kling' || apiKey || accessKey) return { id, host, apiKey, accessKey, secretKey };
  const { sandboxCredentials } = await import('./sandbox-credentials.ts');
  return { id, host, ...sandboxCredentials(config.kling.generation) };
}
