import { createHash } from 'node:crypto';
import type { Generation } from '../catalog/request.ts';
import type { KlingAccount } from './kling-api.ts';

const hosts: ReadonlyMap<string, string> = new Map([
  ['global', 'https://api-singapore.klingai.com'],
  ['china', 'https://api-beijing.klingai.com'],
]);

/** The API generations that an account's credentials reach: an API key both, an AK/SK pair only `legacy`. */
export function generationsOf(account: KlingAccount): readonly Generation[] {
  if (account.apiKey) return ['standard', 'legacy'];
  return account.accessKey && account.secretKey ? ['legacy'] : [];
}

/**
 * Changes whenever the host or a credential of the account changes, and says nothing about them: for noticing that an
 * operator mended a paused account, across restarts and processes.
 */
export function credentialsFingerprint(account: KlingAccount): string {
  const parts = [account.host, account.apiKey, account.accessKey, account.secretKey];
  const text = JSON.stringify(parts.map((part) => (part === null || typeof part === 'string' ? part : part.reveal())));
  return createHash('sha256').update(`dailies-credentials:${text}`).digest('hex').slice(0, 32);
}

/**
 * The origin for `global`, `china`, or a URL (a sandbox, a proxy).
 * @throws RangeError naming the rule, without repeating the value: a mistaken URL may contain a password
 */
export function resolveHost(value: string): string {
  const known = hosts.get(value);
  if (known !== undefined) return known;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new RangeError('must be "global", "china" or an origin such as https://api-singapore.klingai.com');
  }
  if (url.username || url.password || url.pathname !== '/' || url.search || url.hash) {
    throw new RangeError('must be an origin only: no user, path, query or fragment');
  }
  return url.origin;
}
