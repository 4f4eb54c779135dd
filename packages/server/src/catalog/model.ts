import type { Credits } from '../kernel/money.ts';
import type { AspectRatio, Generation, Mode, Product, VideoRequest } from './request.ts';

/** What Kling asks for: per requested second, or per clip of a listed length. */
export type Price =
  | { readonly per: 'second'; readonly credits: Credits }
  | { readonly per: 'clip'; readonly credits: ReadonlyMap<number, Credits> };

export type Resolution = '720p' | '1080p' | '4k';

/** One quality of a model. What has no price cannot be made: the sound rules follow from the two prices. */
export interface ModeRow {
  /** What is stored and sent; null for a model with a single quality, which takes no `mode` on the wire. */
  readonly mode: Mode | null;
  /** The quality it stands for: the name under which a single-quality model accepts `mode`. */
  readonly level: Mode;
  readonly resolution: Resolution;
  readonly silent: Price | null;
  readonly sound: Price | null;
}

/** One model of one product, as data. Kling's capability map, endpoint pages and price pages (kling-api.md 2, 6, 7). */
export interface ModelRow {
  readonly product: Product;
  /** Canonical id, see `VideoRequest.model`. */
  readonly id: string;
  readonly title: string;
  /** Name in each API generation; null where the model is not there. */
  readonly wireNames: Readonly<Record<Generation, string | null>>;
  /** Every other spelling that is accepted, lower case. */
  readonly aliases: readonly string[];
  /** The first is the default. */
  readonly modes: readonly [ModeRow, ...ModeRow[]];
  /** Whole seconds. */
  readonly durations: readonly number[];
  readonly durationDefault: number;
  /** The first is the default. */
  readonly aspectRatios: readonly [AspectRatio, ...AspectRatio[]];
  /** Characters of `prompt`, per generation. */
  readonly promptLimits: Readonly<Record<Generation, number>>;
  /** Whether the legacy generation takes `negative_prompt`; the standard generation never does. */
  readonly negativePrompt: boolean;
  readonly cfgScale: boolean;
  readonly multiShot: readonly NonNullable<VideoRequest['multi_shot']>[];
  /** The only mode and duration with camera control; null for none. */
  readonly cameraControl: { readonly mode: Mode; readonly duration: number } | null;
  readonly framesPerSecond: number;
  /** Set when Kling was seen to answer "discontinued", although it never announced it (kling-api.md 6.3). */
  readonly retired: { readonly successor: string } | null;
}
