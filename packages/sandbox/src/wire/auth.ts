import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose';
import type { Accounts, AccountSettings } from '../accounts.ts';
import { Refusal } from './codes.ts';

/** Keys made by the console carry it; it tells a wrong key (1000) from something that is no key (1002). */
const apiKeyPrefix = 'api-key-kling-';

const jwtOnNewPath =
  'The current API does not support AK/SK authentication. Create an API key at https://kling.ai/dev/api-key and send it as the Bearer token.';

export interface Authenticator {
  /**
   * The account behind an Authorization header, checked in Kling's order: empty 1001, neither key nor JWT 1002, `nbf`
   * ahead 1003, `exp` passed 1004, unknown key or wrong signature 1000, JWT on a new-standard path 1002.
   * @throws Refusal
   */
  authenticate(header: string | undefined, path: string, nowMs: number): Promise<AccountSettings>;
}

export function createAuthenticator(accounts: Accounts): Authenticator {
  /** Tokens whose signature was found right; clients cache theirs for up to half an hour. */
  const verified = new Map<string, AccountSettings>();

  async function verify(token: string, accessKey: unknown): Promise<AccountSettings> {
    const known = verified.get(token);
    if (known) return known;
    const account = typeof accessKey === 'string' ? accounts.findByAccessKey(accessKey) : undefined;
    if (!account?.secretKey) throw new Refusal(1000);
    await compactVerify(token, new TextEncoder().encode(account.secretKey), { algorithms: ['HS256'] }).catch(() => {
      throw new Refusal(1000);
    });
    if (verified.size > 1_000) verified.clear();
    verified.set(token, account);
    return account;
  }

  async function authenticateJwt(token: string, nowMs: number): Promise<AccountSettings> {
    const claims = readClaims(token);
    const nowSeconds = nowMs / 1000;
    if (typeof claims.nbf === 'number' && claims.nbf > nowSeconds) throw new Refusal(1003);
    if (typeof claims.exp !== 'number') throw new Refusal(1002);
    if (claims.exp <= nowSeconds) throw new Refusal(1004);
    return verify(token, claims.iss);
  }

  return {
    async authenticate(header, path, nowMs) {
      const token = header?.replace(/^Bearer(\s+|$)/i, '').trim();
      if (!header || !token) throw new Refusal(1001);
      if (!/^Bearer\s/i.test(header)) throw new Refusal(1002);
      const byKey = accounts.findByApiKey(token);
      if (byKey) return byKey;
      if (token.startsWith(apiKeyPrefix)) throw new Refusal(1000);
      const account = await authenticateJwt(token, nowMs);
      if (isNewStandardPath(path)) throw new Refusal(1002, jwtOnNewPath);
      return account;
    },
  };
}

function readClaims(token: string): ReturnType<typeof decodeJwt> {
  const parts = token.split('.').length;
  if (parts !== 3) {
    throw new Refusal(
      1002,
      `The token was expected to have 3 parts, but got ${parts === 1 ? 0 : parts > 3 ? '> 3' : parts}.`,
    );
  }
  try {
    if (decodeProtectedHeader(token).alg !== 'HS256') throw new Refusal(1002);
    return decodeJwt(token);
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(1002);
  }
}

function isNewStandardPath(path: string): boolean {
  return /^\/(?:(?:text-to-video|image-to-video|omni-video|motion-control)\/|tasks(?:\/|$))/.test(path);
}
