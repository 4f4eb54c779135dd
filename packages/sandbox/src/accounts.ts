import { seededHex } from './random.ts';

/** One pretend Kling account: any of its credentials, its pack and its concurrency. */
export interface SandboxAccount {
  readonly id: string;
  readonly apiKey?: string;
  readonly accessKey?: string;
  readonly secretKey?: string;
  /** Video units in its pack. Default 1,000,000. */
  readonly units?: number;
  /** Concurrent tasks per model version. Default: the sandbox's `slots`. */
  readonly slots?: number;
}

export type AccountSettings = SandboxAccount & { readonly units: number; readonly slots: number };

/** API key of the default account: fixed and worthless, so that nothing needs configuring. */
export const sandboxApiKey = 'api-key-kling-sandbox-not-a-secret-0000000000000000';
/** AccessKey of the default account. */
export const sandboxAccessKey = 'sandbox-access-key-not-a-secret-00';
/** SecretKey of the default account. */
export const sandboxSecretKey = 'sandbox-secret-key-not-a-secret-0000000000';

/** What the sandbox knows when it is told of no accounts. */
export const defaultAccount: SandboxAccount = {
  id: 'sandbox',
  apiKey: sandboxApiKey,
  accessKey: sandboxAccessKey,
  secretKey: sandboxSecretKey,
};

export interface Accounts {
  readonly all: readonly AccountSettings[];
  findByApiKey(apiKey: string): AccountSettings | undefined;
  findByAccessKey(accessKey: string): AccountSettings | undefined;
  /** @throws Error for an id that is not configured (a journal of other accounts) */
  get(id: string): AccountSettings;
}

export function createAccounts(all: readonly AccountSettings[]): Accounts {
  const byApiKey = new Map(all.map((account) => [account.apiKey, account]));
  const byAccessKey = new Map(all.map((account) => [account.accessKey, account]));
  const byId = new Map(all.map((account) => [account.id, account]));
  return {
    all,
    findByApiKey: (apiKey) => byApiKey.get(apiKey),
    findByAccessKey: (accessKey) => byAccessKey.get(accessKey),
    get: (id) => {
      const account = byId.get(id);
      if (!account) throw new Error(`the journal speaks of account "${id}", which is not configured`);
      return account;
    },
  };
}

/** A pack's name encodes units, concurrency and validity; it is the only place where Kling shows the concurrency (kling-api.md 5.2). */
export function packName(account: AccountSettings): string {
  return `Trial-Video-${account.units}Units-${account.slots}Con-120Months`;
}

export function packId(account: AccountSettings): string {
  return seededHex(0, 'pack', account.id).slice(0, 32);
}
