import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../kernel/secret.ts';
import { openCdn, type SignGet } from './open.ts';
import { createOwnLinks } from './own-links.ts';

const links = createOwnLinks({ secret: new Secret('one'), publicUrl: 'https://videos.example/dailies/' });
const path = '/api/videos/vid_1/content';
const signed = links.sign({ path, fileId: 'fil_1', expiresAtSeconds: 2000 });
/** What the API sees behind a proxy that takes the prefix away. */
const target = signed.replace('https://videos.example/dailies', '');
const verify = (given: string, fileId = 'fil_1', nowSeconds = 1999): boolean =>
  links.verify({ target: given, fileId, nowSeconds });

describe('a signed link', () => {
  it('is absolute and works until its last second', () => {
    expect(signed).toMatch(
      /^https:\/\/videos\.example\/dailies\/api\/videos\/vid_1\/content\?expires=2000&signature=[\w-]{43}$/,
    );
    expect(verify(target)).toBe(true);
    expect(verify(target, 'fil_1', 2000)).toBe(false);
  });

  it('opens one file only', () => {
    expect(verify(target, 'fil_2')).toBe(false);
    expect(verify(target.replace('vid_1', 'vid_2'))).toBe(false);
  });

  it('cannot be prolonged or signed without the secret', () => {
    expect(verify(target.replace('expires=2000', 'expires=9000'))).toBe(false);
    expect(verify(target.replace('expires=2000', 'expires=02000'))).toBe(false);
    expect(verify(`${target}&expires=9000`)).toBe(false);
    expect(verify(`${target}&signature=x`)).toBe(false);
    const stranger = createOwnLinks({ secret: new Secret('two'), publicUrl: 'https://videos.example' });
    const forged = stranger.sign({ path, fileId: 'fil_1', expiresAtSeconds: 2000 });
    expect(verify(forged.replace('https://videos.example', ''))).toBe(false);
  });

  it('fields cannot be shifted into each other', () => {
    const shifted = links.sign({ path: `${path}x`, fileId: 'fil_1', expiresAtSeconds: 2000 });
    expect(verify(shifted.replace('https://videos.example/dailies', '').replace('contentx', 'content'), 'xfil_1')).toBe(
      false,
    );
  });

  it('keeps its force beside parameters of others', () => {
    expect(verify(`${target}&download=1`)).toBe(true);
  });

  it('is refused, and never throws, whatever is changed in it', () => {
    const changed = fc.tuple(fc.nat(target.length - 1), fc.string({ minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(changed, ([at, text]) => {
        const forged = target.slice(0, at) + text + target.slice(at + 1);
        // A last base64url digit has two bits that carry nothing; such a spelling is the same signature.
        return forged === target || !verify(forged) || at >= target.length - 1;
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => !verify(text) && !verify(`${path}?${text}`)));
    expect(verify(target)).toBe(true);
  });

  it('does not show the secret', () => {
    expect(JSON.stringify({ signed, links })).not.toContain('one"');
  });
});

describe('delivery of our own', () => {
  const clock = { wallMs: () => 1_000_000, monotonicMs: () => 0 };
  const file = {
    videoId: 'vid_1',
    fileId: 'fil_1',
    fileKey: 'vid_1/1.mp4',
    fileName: 'x.mp4',
    expiresInSeconds: 1000,
  };
  const signGet: SignGet = async (key, { expiresInSeconds, fileName }) =>
    `https://bucket.example/${key}?for=${expiresInSeconds}&as=${fileName}`;

  it('links to the content route for the time asked, also where the store has links', async () => {
    const cdn = await openCdn({ driver: 'own', links: 'api' }, { links, clock, signGet });
    expect(await cdn.linkTo(file)).toBe(signed);
  });

  it('links straight to the store for the time asked where that was chosen', async () => {
    const cdn = await openCdn({ driver: 'own', links: 'storage' }, { links, clock, signGet });
    expect(await cdn.linkTo(file)).toBe('https://bucket.example/vid_1/1.mp4?for=1000&as=x.mp4');
  });

  it('falls back to the content route where the store has no links', async () => {
    const cdn = await openCdn({ driver: 'own', links: 'storage' }, { links, clock, signGet: async () => undefined });
    expect(await cdn.linkTo(file)).toBe(signed);
  });
});
