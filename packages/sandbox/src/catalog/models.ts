/** Quality: legacy `mode` and standard `settings.resolution` name the same thing. */
export type Level = 'std' | 'pro' | '4k';
export type Resolution = '720p' | '1080p' | '4k';
export type Generation = 'legacy' | 'standard';

/** One model version that makes video from text. Slots are counted per version, whatever name it was called by. */
export interface Model {
  /** Canonical name: pools, stats. */
  readonly version: string;
  readonly legacyName: string | undefined;
  readonly standardName: string | undefined;
  /** Seen to be refused by the live service although its documentation still lists it (kling-api.md 6.3). */
  readonly retired: boolean;
  readonly levels: readonly Level[];
  /** False: one quality only, `mode` means nothing to it. */
  readonly takesMode: boolean;
  readonly durations: readonly number[];
  readonly fps: 24 | 30;
  /** Where sound can be had: nowhere, at level pro only, anywhere, or always and not to be switched off. */
  readonly sound: 'none' | 'pro' | 'any' | 'always';
  readonly takesCfgScale: boolean;
  readonly takesCameraControl: boolean;
  readonly takesMultiShot: boolean;
  /** Characters, on the standard path; the legacy path allows 2,500 always. */
  readonly promptMax: 2500 | 3072;
  /** Milli-units per requested second: silent by level, with sound by level (kling-api.md 7.2, 7.3). */
  readonly rates: { readonly silent: Partial<Record<Level, number>>; readonly sound?: Partial<Record<Level, number>> };
  /** Seconds that a 5 s std silent clip takes to generate (kling-api.md 8). */
  readonly generationSeconds: number;
}

const fiveOrTen = [5, 10];
const threeToFifteen = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const ordinary = {
  retired: false,
  levels: ['std', 'pro'],
  takesMode: true,
  durations: fiveOrTen,
  fps: 24,
  sound: 'none',
  takesCfgScale: false,
  takesCameraControl: false,
  takesMultiShot: false,
  promptMax: 2500,
} as const;

/** Every text-to-video model of both generations. */
export const models: readonly Model[] = [
  {
    ...ordinary,
    version: 'kling-3.0-turbo',
    legacyName: undefined,
    standardName: 'kling-3.0-turbo',
    durations: threeToFifteen,
    sound: 'always',
    promptMax: 3072,
    rates: { silent: {}, sound: { std: 800, pro: 1000 } },
    generationSeconds: 27,
  },
  {
    ...ordinary,
    version: 'kling-3.0',
    legacyName: 'kling-v3',
    standardName: 'kling-3.0',
    levels: ['std', 'pro', '4k'],
    durations: threeToFifteen,
    sound: 'any',
    takesCfgScale: true,
    takesMultiShot: true,
    promptMax: 3072,
    rates: { silent: { std: 600, pro: 800, '4k': 3000 }, sound: { std: 900, pro: 1200, '4k': 3000 } },
    generationSeconds: 50,
  },
  {
    ...ordinary,
    version: 'kling-2.6',
    legacyName: 'kling-v2-6',
    standardName: 'kling-2.6',
    sound: 'pro',
    rates: { silent: { std: 300, pro: 500 }, sound: { pro: 1000 } },
    generationSeconds: 45,
  },
  {
    ...ordinary,
    version: 'kling-2.5-turbo',
    legacyName: 'kling-v2-5-turbo',
    standardName: 'kling-2.5-turbo',
    rates: { silent: { std: 300, pro: 500 } },
    generationSeconds: 34,
  },
  retired('kling-v2-1-master', {
    levels: ['pro'],
    takesMode: false,
    rates: { silent: { pro: 2000 } },
    generationSeconds: 64,
  }),
  retired('kling-v2-master', {
    levels: ['std'],
    takesMode: false,
    rates: { silent: { std: 2000 } },
    generationSeconds: 75,
  }),
  retired('kling-v1-6', { takesCfgScale: true, rates: { silent: { std: 400, pro: 700 } }, generationSeconds: 55 }),
  retired('kling-v1', {
    takesCfgScale: true,
    takesCameraControl: true,
    fps: 30,
    rates: { silent: { std: 200, pro: 700 } },
    generationSeconds: 60,
  }),
];

/** Known to Kling, but not for text: these make video from images or references only. */
export const otherModels: ReadonlySet<string> = new Set([
  'kling-v1-5',
  'kling-v2-1',
  'kling-video-o1',
  'kling-v3-omni',
]);

function retired(name: string, own: Partial<Model> & Pick<Model, 'rates' | 'generationSeconds'>): Model {
  return { ...ordinary, version: name, legacyName: name, standardName: undefined, retired: true, ...own };
}

const byLegacyName = new Map(models.map((model) => [model.legacyName, model]));
const byStandardName = new Map(models.map((model) => [model.standardName, model]));
const byVersion = new Map(models.map((model) => [model.version, model]));

export const findLegacyModel = (name: string): Model | undefined => byLegacyName.get(name);
export const findStandardModel = (name: string): Model | undefined => byStandardName.get(name);

/** @throws Error for a version that this build does not know (a journal of another release) */
export function getModel(version: string): Model {
  const model = byVersion.get(version);
  if (!model) throw new Error(`unknown model version "${version}"`);
  return model;
}
