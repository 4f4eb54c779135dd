import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getSignedUrl } from '@aws-sdk/cloudfront-signer';
import type { Clock } from '../kernel/clock.ts';
import { asError } from '../kernel/errors.ts';
import { Secret } from '../kernel/secret.ts';
import { addressOf, expiryOf } from './bucket-path.ts';
import type { Cdn } from './cdn.ts';
import type { CloudFrontConfig } from './open.ts';

/**
 * Delivery by Amazon CloudFront. A link carries a canned policy: this one address, until this second. The name of a saved copy is part of
 * the signed address; S3 obeys it where the distribution's cache policy forwards `response-content-disposition`.
 * @throws Error naming the variable when the private key cannot be read, or is no RSA key
 */
export async function openCloudFront(config: CloudFrontConfig, deps: { readonly clock: Clock }): Promise<Cdn> {
  const privateKey = await readPrivateKey(config.privateKey);
  return {
    linkTo({ fileKey, fileName, expiresInSeconds }) {
      const disposition = encodeURIComponent(`inline; filename="${fileName}"`);
      const signed = getSignedUrl({
        url: `${addressOf(config, fileKey)}?response-content-disposition=${disposition}`,
        keyPairId: config.keyPairId,
        privateKey: privateKey.reveal(),
        dateLessThan: new Date(expiryOf(deps.clock.wallMs(), expiresInSeconds) * 1000),
      });
      return Promise.resolve(signed);
    },
  };
}

async function readPrivateKey(given: CloudFrontConfig['privateKey']): Promise<Secret> {
  const variable = given instanceof Secret ? 'CDN_PRIVATE_KEY' : `CDN_PRIVATE_KEY_FILE (${given.file})`;
  const pem = given instanceof Secret ? given.reveal() : await readPem(given.file, variable);
  checkRsaKey(pem, variable);
  return new Secret(pem);
}

async function readPem(file: string, variable: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code = 'unreadable' } = asError(error) as NodeJS.ErrnoException; // what Node puts on a failed read
    throw new Error(`${variable} cannot be read: ${code}.`, { cause: error });
  }
}

/** A cause is left out: it might quote the key. */
function checkRsaKey(pem: string, variable: string): void {
  let type: string | undefined;
  try {
    type = createPrivateKey(pem).asymmetricKeyType;
  } catch {
    throw new Error(`${variable} is no private key in PEM without a passphrase.`);
  }
  if (type !== 'rsa')
    throw new Error(`${variable} is a key of type ${String(type)}; CloudFront links are signed with RSA.`);
}
