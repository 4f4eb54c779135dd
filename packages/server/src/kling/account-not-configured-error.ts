import { AppError } from '../kernel/errors.ts';

/**
 * The account of an attempt, or the credential that its generation needs, is not in this process's configuration.
 * Nothing was sent: the attempt waits, and an operator has to be told.
 */
export class AccountNotConfiguredError extends AppError {
  override readonly name = 'AccountNotConfiguredError';
  readonly accountId: string;

  constructor(accountId: string, missing: 'account' | 'API key' | 'credentials') {
    const what = missing === 'account' ? 'is not configured' : `has no ${missing}`;
    super('unavailable', `The Kling account ${JSON.stringify(accountId)} ${what}; work that needs it waits.`);
    this.accountId = accountId;
  }
}
