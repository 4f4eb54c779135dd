import type { Resolution } from './model.ts';
import { getMode, getModel } from './models.ts';
import type { AspectRatio, Mode, VideoRequest } from './request.ts';

/** What the file of a request should look like. Deliveries differ by a frame or a few pixels: a check needs tolerance. */
export interface ClipFacts {
  readonly width: number;
  readonly height: number;
  readonly framesPerSecond: number;
  readonly frames: number;
}

/**
 * Nominal sizes (kling-api.md 8). The square ones are unverified: nobody published a measured file; these have the area
 * of the 16:9 picture.
 */
const sizes: Readonly<Record<Resolution, Readonly<Record<AspectRatio, readonly [number, number]>>>> = {
  '720p': { '16:9': [1280, 720], '9:16': [720, 1280], '1:1': [960, 960] },
  '1080p': { '16:9': [1920, 1080], '9:16': [1080, 1920], '1:1': [1440, 1440] },
  '4k': { '16:9': [3840, 2160], '9:16': [2160, 3840], '1:1': [2880, 2880] },
};

/** The picture that Kling should deliver: rate x seconds plus one frame, so 5 s at 24 fps are 121 frames (5.041 s). */
export function clipFacts(request: VideoRequest): ClipFacts {
  const { framesPerSecond } = getModel(request.model);
  const [width, height] = sizes[getMode(request).resolution][request.aspect_ratio];
  return { width, height, framesPerSecond, frames: framesPerSecond * request.duration + 1 };
}

interface Pace {
  readonly fixedMs: number;
  readonly perSecondMs: number;
}

/** The average of a client that timed text-to-video before 2026: 319 s; a 1.0 clip took more than 15 minutes at worst. */
const oldPace: Pace = { fixedMs: 119_000, perSecondMs: 40_000 };

/**
 * Guesses, anchored at the few times that were published (kling-api.md 8): 3.0 Turbo 3 s 28 s; 3.0 family 3 s 83 s; 2.6
 * pro 5 s 90 s; 2.5 Turbo 5 s 34 s. Own observations replace them as soon as there are any.
 */
const paces: Readonly<Record<string, Pace>> = {
  'kling-3.0-turbo': { fixedMs: 13_000, perSecondMs: 5_000 },
  'kling-3.0': { fixedMs: 45_500, perSecondMs: 12_500 },
  'kling-2.6': { fixedMs: 20_000, perSecondMs: 8_000 },
  'kling-2.5-turbo': { fixedMs: 14_000, perSecondMs: 4_000 },
};

const slowdown: Readonly<Record<Mode, number>> = { std: 1, pro: 1.5, '4k': 3 };

/** How long Kling probably takes from accepting a request to its end, in milliseconds, while nothing was observed yet. */
export function expectedGenerationMs(request: VideoRequest): number {
  const pace = paces[request.model] ?? oldPace;
  return Math.round((pace.fixedMs + pace.perSecondMs * request.duration) * slowdown[request.mode ?? 'std']);
}
