import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { openCdn, type CloudFrontConfig } from './open.ts';
import { createOwnLinks } from './own-links.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'dailies-cloudfront-'));
afterAll(() => rmSync(folder, { recursive: true }));

const keyFile = path.join(folder, 'private.pem');
const publicFile = path.join(folder, 'public.pem');
execFileSync('openssl', ['genrsa', '-out', keyFile, '2048'], { stdio: 'ignore' });
execFileSync('openssl', ['rsa', '-in', keyFile, '-pubout', '-out', publicFile], { stdio: 'ignore' });

let nowMs = 1_000_000_999;
const deps = {
  links: createOwnLinks({ secret: new Secret('unused'), publicUrl: 'https://unused.example' }),
  clock: { wallMs: () => nowMs, monotonicMs: () => 0 },
  signGet: async () => undefined,
};
const config: CloudFrontConfig = {
  driver: 'cloudfront',
  url: 'https://d111111abcdef8.cloudfront.net/',
  keyPairId: 'K2JCJMDEHXQW5F',
  privateKey: { file: keyFile },
  prefix: 'films/',
};
const file = {
  videoId: 'vid_1',
  fileId: 'fil_1',
  fileKey: 'ws 1/vid_1/1.mp4',
  fileName: 'a-fox-1.mp4',
  expiresInSeconds: 600,
};

/** As CloudFront does it: the canned policy is made of the address without the three parameters, and the signature checked over it. */
function opensslAccepts(link: string): boolean {
  const [, address = '', expires, signature = ''] =
    /^(.*)&Expires=(\d+)&Key-Pair-Id=K2JCJMDEHXQW5F&Signature=(.*)$/.exec(link) ?? [];
  const policy = `{"Statement":[{"Resource":"${address}","Condition":{"DateLessThan":{"AWS:EpochTime":${String(expires)}}}}]}`;
  const bytes = Buffer.from(signature.replaceAll('-', '+').replaceAll('_', '=').replaceAll('~', '/'), 'base64');
  writeFileSync(path.join(folder, 'signature'), bytes);
  const args = ['dgst', '-sha1', '-verify', publicFile, '-signature', path.join(folder, 'signature')];
  try {
    return execFileSync('openssl', args, { input: policy, encoding: 'utf8', stdio: 'pipe' }).includes('Verified OK');
  } catch {
    return false;
  }
}

describe('a link to CloudFront', () => {
  it('is bound to one file until one second, and openssl confirms the signature', async () => {
    const link = await (await openCdn(config, deps)).linkTo(file);
    expect(link.split('?')[0]).toBe('https://d111111abcdef8.cloudfront.net/films/ws%201/vid_1/1.mp4');
    const query = new URL(link).searchParams;
    expect(query.get('Expires')).toBe('1000600');
    expect(query.get('response-content-disposition')).toBe('inline; filename="a-fox-1.mp4"');
    expect(opensslAccepts(link)).toBe(true);
    expect(opensslAccepts(link.replace('Expires=1000600', 'Expires=1000601'))).toBe(false);
    expect(opensslAccepts(link.replace('vid_1/1.mp4', 'vid_2/1.mp4'))).toBe(false);
  });

  it('is made anew each time it is asked for, with its whole life before it', async () => {
    const cdn = await openCdn(config, deps);
    const first = await cdn.linkTo(file);
    nowMs += 5_000;
    const second = await cdn.linkTo(file);
    expect(
      Number(new URL(second).searchParams.get('Expires')) - Number(new URL(first).searchParams.get('Expires')),
    ).toBe(5);
    expect(opensslAccepts(second)).toBe(true);
  });

  it('is signed alike with a key given as text', async () => {
    const pem = execFileSync('openssl', ['pkey', '-in', keyFile], { encoding: 'utf8' });
    const cdn = await openCdn({ ...config, privateKey: new Secret(pem) }, deps);
    expect(await cdn.linkTo(file)).toBe(await (await openCdn(config, deps)).linkTo(file));
  });
});

const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
writeFileSync(path.join(folder, 'not-a-key.pem'), '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n');

test.each([
  [
    'a file that is not there',
    { file: '/nowhere/key.pem' },
    'CDN_PRIVATE_KEY_FILE (/nowhere/key.pem) cannot be read: ENOENT.',
  ],
  ['a folder', { file: folder }, `CDN_PRIVATE_KEY_FILE (${folder}) cannot be read: EISDIR.`],
  [
    'a file that holds no key',
    { file: path.join(folder, 'not-a-key.pem') },
    `CDN_PRIVATE_KEY_FILE (${path.join(folder, 'not-a-key.pem')}) is no private key in PEM without a passphrase.`,
  ],
  [
    'a public key',
    { file: publicFile },
    `CDN_PRIVATE_KEY_FILE (${publicFile}) is no private key in PEM without a passphrase.`,
  ],
  [
    'a key of another kind',
    new Secret(elliptic.toString()),
    'CDN_PRIVATE_KEY is a key of type ec; CloudFront links are signed with RSA.',
  ],
])('%s ends the start with an error that names the variable and shows no key', async (_what, privateKey, message) => {
  await expect(openCdn({ ...config, privateKey }, deps)).rejects.toThrow(message);
});
