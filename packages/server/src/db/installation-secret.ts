import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { Secret } from '../kernel/secret.ts';
import type { Tables } from './tables.ts';

/** A secret that all processes of one database share: made once, by whoever asks first. 256 random bits, base64. */
export async function ensureInstallationSecret(
  kysely: Kysely<Tables>,
  name: 'links' | 'callbacks' | 'webhooks',
): Promise<Secret> {
  await kysely
    .insertInto('installation_secrets')
    .values({ name, value: randomBytes(32).toString('base64') })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await kysely
    .selectFrom('installation_secrets')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  return new Secret(row.value);
}

/** The secret that signs webhooks, in the form in which receivers configure it (Standard Webhooks). */
export async function ensureWebhookSecret(kysely: Kysely<Tables>): Promise<Secret> {
  const secret = await ensureInstallationSecret(kysely, 'webhooks');
  return new Secret(`whsec_${secret.reveal()}`);
}
