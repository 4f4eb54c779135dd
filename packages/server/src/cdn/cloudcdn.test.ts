import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { openCdn, type CdnConfig } from './open.ts';
import { createOwnLinks } from './own-links.ts';

const deps = {
  links: createOwnLinks({ secret: new Secret('unused'), publicUrl: 'https://unused.example' }),
  clock: { wallMs: () => 1_000_000_500, monotonicMs: () => 0 },
  signGet: async () => undefined,
};
const key = 'nZtRohdNF9m3cKM24IcK4w==';
const config: CdnConfig = {
  driver: 'cloudcdn',
  url: 'https://media.example.com',
  keyName: 'my-key',
  key: new Secret(key),
  prefix: '',
};
const file = { videoId: 'vid_1', fileId: 'fil_1', fileKey: 'a/1.mp4', fileName: 'x.mp4', expiresInSeconds: 60 };

/** Google's description, step by step, with openssl: HMAC-SHA1 of the address with Expires and KeyName, in base64url. */
function signatureByOpenssl(text: string): string {
  const hex = Buffer.from(key, 'base64url').toString('hex');
  const args = ['dgst', '-sha1', '-mac', 'HMAC', '-macopt', `hexkey:${hex}`, '-binary'];
  return execFileSync('openssl', args, { input: text }).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

describe('a link to Cloud CDN', () => {
  it('is the address, its end and the name of the key, signed as Google describes', async () => {
    const link = await (await openCdn(config, deps)).linkTo(file);
    const unsigned = 'https://media.example.com/a/1.mp4?Expires=1000060&KeyName=my-key';
    expect(link).toBe(`${unsigned}&Signature=${signatureByOpenssl(unsigned)}`);
  });

  it('opens one file: another one has another signature', async () => {
    const cdn = await openCdn(config, deps);
    const signatureOf = (link: string): string | undefined => link.split('Signature=')[1];
    const other = await cdn.linkTo({ ...file, fileKey: 'a/2.mp4' });
    expect(signatureOf(other)).not.toBe(signatureOf(await cdn.linkTo(file)));
  });

  it('takes a key without padding alike', async () => {
    const bare = await openCdn({ ...config, key: new Secret(key.replaceAll('=', '')) }, deps);
    expect(await bare.linkTo(file)).toBe(await (await openCdn(config, deps)).linkTo(file));
  });
});
