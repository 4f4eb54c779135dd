import { credits, type Credits } from '../kernel/money.ts';
import type { ModelRow, ModeRow, Price, Resolution } from './model.ts';
import type { Mode } from './request.ts';

const fiveOrTen = [5, 10] as const;
const threeToFifteen = Array.from({ length: 13 }, (_, index) => index + 3);

/** What most rows share; a row states what differs. */
const usual = {
  product: 'text2video',
  durations: fiveOrTen,
  durationDefault: 5,
  aspectRatios: ['16:9', '9:16', '1:1'],
  promptLimits: { standard: 2500, legacy: 2500 },
  negativePrompt: true,
  cfgScale: false,
  multiShot: [],
  cameraControl: null,
  framesPerSecond: 24,
  retired: null,
} as const satisfies Partial<ModelRow>;

const retired = { successor: 'kling-2.6' };

/** Text-to-video, newest first (kling-api.md 2A.1, 2B.1, 6.1-6.3; prices 7.2 per second, 7.3 per clip). */
export const textToVideoModels: readonly ModelRow[] = [
  {
    ...usual,
    id: 'kling-3.0-turbo',
    title: 'Kling 3.0 Turbo',
    wireNames: { standard: 'kling-3.0-turbo', legacy: null },
    aliases: spellings('kling-3.0-turbo'),
    modes: [mode('std', '720p', { sound: perSecond('0.8') }), mode('pro', '1080p', { sound: perSecond('1') })],
    durations: threeToFifteen,
    promptLimits: { standard: 3072, legacy: 2500 },
    negativePrompt: false,
    multiShot: ['customize'],
  },
  {
    ...usual,
    id: 'kling-3.0',
    title: 'Kling 3.0',
    wireNames: { standard: 'kling-3.0', legacy: 'kling-v3' },
    aliases: spellings('kling-3.0'),
    modes: [
      mode('std', '720p', { silent: perSecond('0.6'), sound: perSecond('0.9') }),
      mode('pro', '1080p', { silent: perSecond('0.8'), sound: perSecond('1.2') }),
      mode('4k', '4k', { silent: perSecond('3'), sound: perSecond('3') }),
    ],
    durations: threeToFifteen,
    promptLimits: { standard: 3072, legacy: 2500 },
    multiShot: ['customize', 'intelligence'],
  },
  {
    ...usual,
    id: 'kling-2.6',
    title: 'Kling 2.6',
    wireNames: { standard: 'kling-2.6', legacy: 'kling-v2-6' },
    aliases: spellings('kling-2.6'),
    modes: [
      mode('std', '720p', { silent: perSecond('0.3') }),
      mode('pro', '1080p', { silent: perSecond('0.5'), sound: perSecond('1') }),
    ],
  },
  {
    ...usual,
    id: 'kling-2.5-turbo',
    title: 'Kling 2.5 Turbo',
    wireNames: { standard: 'kling-2.5-turbo', legacy: 'kling-v2-5-turbo' },
    aliases: spellings('kling-2.5-turbo'),
    modes: [mode('std', '720p', { silent: perSecond('0.3') }), mode('pro', '1080p', { silent: perSecond('0.5') })],
  },
  {
    ...usual,
    id: 'kling-v2-1-master',
    title: 'Kling 2.1 Master',
    wireNames: { standard: null, legacy: 'kling-v2-1-master' },
    aliases: spellings('kling-v2-1-master'),
    modes: [{ ...mode('pro', '1080p', { silent: perClip('10', '20') }), mode: null }],
    retired,
  },
  {
    ...usual,
    id: 'kling-v2-master',
    title: 'Kling 2.0 Master',
    wireNames: { standard: null, legacy: 'kling-v2-master' },
    aliases: spellings('kling-v2-master'),
    modes: [{ ...mode('std', '720p', { silent: perClip('10', '20') }), mode: null }],
    retired,
  },
  {
    ...usual,
    id: 'kling-v1-6',
    title: 'Kling 1.6',
    wireNames: { standard: null, legacy: 'kling-v1-6' },
    aliases: spellings('kling-v1-6'),
    modes: [mode('std', '720p', { silent: perClip('2', '4') }), mode('pro', '1080p', { silent: perClip('3.5', '7') })],
    cfgScale: true,
    retired,
  },
  {
    ...usual,
    id: 'kling-v1',
    title: 'Kling 1.0',
    wireNames: { standard: null, legacy: 'kling-v1' },
    aliases: spellings('kling-v1'),
    modes: [mode('std', '720p', { silent: perClip('1', '2') }), mode('pro', '720p', { silent: perClip('3.5', '7') })],
    cfgScale: true,
    cameraControl: { mode: 'std', duration: 5 },
    framesPerSecond: 30,
    retired,
  },
];

function mode(name: Mode, resolution: Resolution, prices: { silent?: Price; sound?: Price }): ModeRow {
  return { mode: name, level: name, resolution, silent: prices.silent ?? null, sound: prices.sound ?? null };
}

function perSecond(rate: string): Price {
  return { per: 'second', credits: credits(rate) };
}

function perClip(fiveSeconds: string, tenSeconds: string): Price {
  return {
    per: 'clip',
    credits: new Map<number, Credits>([
      [5, credits(fiveSeconds)],
      [10, credits(tenSeconds)],
    ]),
  };
}

/**
 * The other ways to write an id: with and without `v`, dots or hyphens, `.0` or nothing, and the `-t2v` ending of a
 * widely used SDK (kling-api.md 6.1): `kling-2.6` is also `kling-v2-6`, `kling-v2.6`, `kling-2-6`, `kling-v2.6-t2v`.
 */
function spellings(id: string): readonly string[] {
  const [, major = '', minor = '0', variant = ''] = /^kling-v?(\d)(?:[.-](\d))?(-\w+)?$/.exec(id) ?? [];
  const versions = minor === '0' ? [`${major}.0`, `${major}-0`, major] : [`${major}.${minor}`, `${major}-${minor}`];
  const names = versions.flatMap((version) => [`kling-v${version}${variant}`, `kling-${version}${variant}`]);
  return [...names, ...names.map((name) => `${name}-t2v`)].filter((name) => name !== id);
}
