import type { Level, Model, Resolution } from './models.ts';

/** The three ratios that text-to-video takes. */
export const aspectRatios = ['16:9', '9:16', '1:1'] as const;
export type AspectRatio = (typeof aspectRatios)[number];

export const resolutionOf = { std: '720p', pro: '1080p', '4k': '4k' } as const satisfies Record<Level, Resolution>;
export const levelOf = { '720p': 'std', '1080p': 'pro', '4k': '4k' } as const satisfies Record<Resolution, Level>;

const sides = { '720p': [1280, 720], '1080p': [1920, 1080], '4k': [3840, 2160] } as const;

/** The delivered file's picture (kling-api.md 8). V1 stays at 720p whatever the mode. */
export function pictureOf(
  model: Model,
  level: Level,
  ratio: AspectRatio,
  squareSides: Record<Resolution, number>,
): { width: number; height: number } {
  const resolution = model.version === 'kling-v1' ? '720p' : resolutionOf[level];
  const [long, short] = sides[resolution];
  if (ratio === '1:1') return { width: squareSides[resolution], height: squareSides[resolution] };
  return ratio === '16:9' ? { width: long, height: short } : { width: short, height: long };
}

/** Files are a little longer than ordered: one frame at 24 fps (5 s = 121 frames), three at 30 fps (5.1 s). */
export function framesOf(model: Model, durationSeconds: number): number {
  return model.fps * durationSeconds + (model.fps === 24 ? 1 : 3);
}

/** The length as records state it: seconds cut (not rounded) to three decimals, `"5.041"`. */
export function durationText(model: Model, durationSeconds: number): string {
  return String(Math.floor((framesOf(model, durationSeconds) * 1000) / model.fps) / 1000);
}
